-- Late rows, newest first, of a cause and view if they are given.
SELECT q.id, q.foreign_table, q.topic, q.partition, q."offset", q.record_timestamp, q.view_name, q.cause,
       q.event_time, q.window_start, q.window_end, CASE WHEN isfinite(q.watermark) THEN q.watermark END, CASE WHEN isfinite(q.floor) THEN q.floor END,
       extract(epoch FROM q.late_by)::float8, q.key, q.headers, q.payload, coalesce(q.payload_size, 0), q.refused_at, q.seq
FROM millstream.late_rows AS q
JOIN millstream.pipelines AS p ON p.name = q.pipeline AND p.build = q.build
WHERE q.pipeline = $1
  AND ($2 = 0 OR q.id < $2)
  AND ($3 = '' OR q.cause = $3)
  AND ($4 = '' OR q.view_name = $4)
ORDER BY q.id DESC
LIMIT $5
