-- What the newest late rows are about, most frequent first.
SELECT q.cause, q.foreign_table, q.view_name, count(*), max(q.id), max(q.refused_at),
       extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY q.late_by))::float8, extract(epoch FROM max(q.late_by))::float8
FROM (
    SELECT q.*
    FROM millstream.late_rows AS q
    JOIN millstream.pipelines AS p ON p.name = q.pipeline AND p.build = q.build
    WHERE q.pipeline = $1
    ORDER BY q.id DESC
    LIMIT $2) AS q
GROUP BY 1, 2, 3
ORDER BY 4 DESC, 5 DESC
LIMIT 100
