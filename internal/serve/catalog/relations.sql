-- The relations of schema $1 that the session may read, one JSON document
-- each: what the API names, casts to, orders by and describes.
SELECT json_build_object(
    'oid', c.oid::bigint,
    'name', c.relname,
    'kind', c.relkind,
    'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid, true) END,
    'comment', obj_description(c.oid, 'pg_class'),
    'columns', (
        SELECT coalesce(json_agg(json_build_object(
            'name', a.attname,
            'type', format_type(a.atttypid, a.atttypmod),
            'cast', format_type(b.oid, -1),
            'category', b.typcategory,
            'not_null', a.attnotnull,
            'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum), '[]')
        FROM pg_attribute AS a
        JOIN pg_type AS t ON t.oid = a.atttypid
        JOIN pg_type AS b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    -- The primary key, or else the smallest unique index under which no two
    -- rows are alike.
    'key', (
        SELECT json_agg(a.attname ORDER BY k.place)
        FROM (SELECT i.indkey, i.indnkeyatts
              FROM pg_index AS i
              WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
                AND i.indpred IS NULL AND i.indexprs IS NULL
                AND (i.indisprimary OR i.indnullsnotdistinct OR NOT EXISTS (
                    SELECT FROM pg_attribute AS n
                    WHERE n.attrelid = c.oid AND n.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) AND NOT n.attnotnull))
              ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
              LIMIT 1) AS i
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
        WHERE k.place <= i.indnkeyatts))::text
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1
  AND c.relkind IN ('r', 'p', 'v', 'm')
  AND NOT c.relispartition
  AND has_schema_privilege(n.oid, 'USAGE')
  AND has_table_privilege(c.oid, 'SELECT')
ORDER BY c.relname COLLATE "C"
