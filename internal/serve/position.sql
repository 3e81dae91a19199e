-- Where pipeline $1 stands in this snapshot: its last commit, the least
-- watermark of the views in the JSON array $2, and of view $3 what is final.
SELECT c.seq,
       to_json(c.committed_at) #>> '{}',
       CASE WHEN count(v.watermark) = jsonb_array_length($2::jsonb) AND isfinite(min(v.watermark))
            THEN to_json(min(v.watermark)) #>> '{}' END,
       max(v.final_before) FILTER (WHERE v."view" = $3),
       max(v.final_start) FILTER (WHERE v."view" = $3)
FROM millstream.pipelines AS p
CROSS JOIN LATERAL (
    SELECT seq, committed_at, views
    FROM millstream.commits AS c
    WHERE c.pipeline = p.name AND c.build = p.build
    ORDER BY seq DESC
    LIMIT 1) AS c
LEFT JOIN LATERAL jsonb_to_recordset(c.views) AS v (
    "view" text, watermark timestamptz, final_before timestamptz, final_start timestamptz)
    ON v."view" IN (SELECT jsonb_array_elements_text($2::jsonb))
WHERE p.name = $1
GROUP BY c.seq, c.committed_at
