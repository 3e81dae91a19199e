-- Of the names $1: those that no statement may call, since PostgreSQL's own
-- function of that name, or one of several, is not known to be harmless; those
-- that schema $2 has functions of, which might be called in their place; and
-- those that name a column of a relation there.
--
-- Harmless is what does not write, wait, or look beyond its arguments: not
-- volatile, not run with its owner's rights, and callable from SQL. What is
-- stable and reads settings, catalogues, or a table by its name is left out by
-- name, as is all that begins with pg_ but for a few.
WITH own AS (
    SELECT p.proname,
           bool_and(p.provolatile <> 'v'
               AND NOT p.prosecdef
               AND p.prolang IN (SELECT l.oid FROM pg_language AS l WHERE l.lanname IN ('internal', 'sql'))
               AND p.prokind IN ('f', 'a', 'w')
               AND p.prorettype NOT IN ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype, 'event_trigger'::regtype, 'language_handler'::regtype,
                   'fdw_handler'::regtype, 'index_am_handler'::regtype, 'table_am_handler'::regtype, 'tsm_handler'::regtype, 'void'::regtype)
               AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) AS a (type) WHERE a.type IN ('internal'::regtype, 'cstring'::regtype))) AS harmless
    FROM pg_proc AS p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY ($1::text[])
    GROUP BY p.proname)
SELECT n.name,
       n.name IN ('random', 'clock_timestamp', 'gen_random_uuid') -- volatile, and harmless
           OR coalesce(o.harmless, true)
           AND (n.name !~ '^(pg_|has_|inet_(client|server)_|txid_|to_reg|lo_|xpath|xml|binary_upgrade|current_(setting|user|role|query))'
               OR n.name IN ('pg_typeof', 'pg_size_pretty', 'pg_size_bytes', 'pg_column_size'))
           AND n.name !~ '_to_xml'
           AND n.name NOT IN ('session_user', 'system_user', 'user', 'getpgusername', 'version', 'set_config', 'row_security_active', 'format_type', 'aclexplode',
               'col_description', 'obj_description', 'shobj_description', 'ts_stat', 'ts_rewrite') AS allowed,
       o.proname IS NOT NULL AS known,
       EXISTS (SELECT FROM pg_proc AS p WHERE p.pronamespace = to_regnamespace(quote_ident($2)) AND p.proname = n.name) AS shadowed,
       EXISTS (SELECT FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
               WHERE c.relnamespace = to_regnamespace(quote_ident($2)) AND a.attname = n.name AND a.attnum > 0 AND NOT a.attisdropped) AS is_column
FROM unnest($1::text[]) AS n (name) LEFT JOIN own AS o ON o.proname = n.name
