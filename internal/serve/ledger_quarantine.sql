-- Rows of quarantine, newest first, of a cause and table if they are given.
SELECT q.id, q.foreign_table, q.topic, q.partition, q."offset", q.record_timestamp, coalesce(q.view_name, ''), q.cause,
       coalesce(q.statement, ''), coalesce(q.column_name, ''), coalesce(q.json_path, ''), q.byte_position, coalesce(q.expected_type, ''),
       coalesce(q.sqlstate, ''), q.message, q.key, q.headers, q.payload, coalesce(q.payload_size, 0), q.refused_at, q.seq
FROM millstream.quarantine AS q
JOIN millstream.pipelines AS p ON p.name = q.pipeline AND p.build = q.build
WHERE q.pipeline = $1
  AND ($2 = 0 OR q.id < $2)
  AND ($3 = '' OR q.cause = $3)
  AND ($4 = '' OR q.foreign_table = $4)
ORDER BY q.id DESC
LIMIT $5
