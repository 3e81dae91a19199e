-- What the newest rows of quarantine are about, most frequent first.
SELECT q.cause, q.foreign_table, coalesce(q.view_name, ''), coalesce(q.column_name, q.json_path, ''), coalesce(q.sqlstate, ''),
       count(*), max(q.id), max(q.refused_at), (array_agg(q.message ORDER BY q.id DESC))[1]
FROM (
    SELECT q.*
    FROM millstream.quarantine AS q
    JOIN millstream.pipelines AS p ON p.name = q.pipeline AND p.build = q.build
    WHERE q.pipeline = $1
    ORDER BY q.id DESC
    LIMIT $2) AS q
GROUP BY 1, 2, 3, 4, 5
ORDER BY 6 DESC, 7 DESC
LIMIT 100
