-- The last commit of pipeline $1 that this snapshot shows, and what is told of
-- it: when it was made, and the watermark of each view that has one.
SELECT c.seq,
       json_build_object(
           'commit', c.seq,
           'committed_at', c.committed_at,
           'watermarks', (
               SELECT coalesce(json_object_agg(v."view", v.watermark) FILTER (WHERE isfinite(v.watermark)), '{}')
               FROM jsonb_to_recordset(c.views) AS v ("view" text, watermark timestamptz)))::text
FROM millstream.pipelines AS p
CROSS JOIN LATERAL (
    SELECT seq, committed_at, views
    FROM millstream.commits AS c
    WHERE c.pipeline = p.name AND c.build = p.build
    ORDER BY seq DESC
    LIMIT 1) AS c
WHERE p.name = $1
