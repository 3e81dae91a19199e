-- Where each view of each pipeline stands after the pipeline's last commit.
SELECT p.name, v."view", c.seq, c.committed_at,
       CASE WHEN isfinite(v.watermark) THEN v.watermark END
FROM millstream.pipelines AS p
CROSS JOIN LATERAL (
    SELECT seq, committed_at, views
    FROM millstream.commits AS c
    WHERE c.pipeline = p.name AND c.build = p.build
    ORDER BY seq DESC
    LIMIT 1) AS c
CROSS JOIN LATERAL jsonb_to_recordset(c.views) AS v ("view" text, watermark timestamptz)
