-- The result tables of pipelines in schema $1, and for every relation of it
-- the views whose result tables it reads, through any number of views.
WITH RECURSIVE relation AS (
    SELECT c.oid
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm')
), uses AS (
    SELECT oid AS relation, oid AS source FROM relation
    UNION
    SELECT u.relation, d.refobjid
    FROM uses AS u
    JOIN pg_rewrite AS r ON r.ev_class = u.source
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                       AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> u.source
)
SELECT json_build_object(
    'relation', u.relation::bigint,
    'pipeline', min(o.pipeline),
    'views', json_agg(DISTINCT o.view_name),
    'own', max(CASE WHEN u.relation = o.relation THEN json_build_object(
        'view', o.view_name,
        'emit', o.emit,
        'shadow', o.build <> p.build,
        'window_start', o.window_start_column,
        'window_end', o.window_end_column,
        'key', o.key_columns,
        'definition', (SELECT s.sql FROM millstream.statements AS s WHERE s.pipeline = o.pipeline AND s.object = 'materialized view ' || o.view_name))::text END)::json)::text
FROM uses AS u
JOIN millstream.objects AS o ON o.relation = u.source
JOIN millstream.pipelines AS p ON p.name = o.pipeline
GROUP BY u.relation
