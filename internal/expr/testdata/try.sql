-- try evaluates an expression over every row of data. An expression that
-- fails to be parsed or planned gives one row with id -1; a row that fails
-- has its SQLSTATE and message. (ORDER BY makes all rows be computed before the
-- first one is returned: returned rows would stay when a later one fails.)
CREATE FUNCTION try(expression text)
RETURNS TABLE (id integer, state text, message text, is_null boolean, value text, typ text)
LANGUAGE plpgsql AS $$
DECLARE
    query text := 'SELECT q.id, NULL::text, NULL::text, q.v IS NULL, format(''%s'', q.v), pg_typeof(q.v)::text
                   FROM (SELECT data.id, (' || expression || E'\n) AS v FROM data %s OFFSET 0) q ORDER BY 1';
    row_id integer;
BEGIN
    BEGIN
        RETURN QUERY EXECUTE replace(query, 'FROM data %s', 'FROM data');
        RETURN;
    EXCEPTION WHEN OTHERS THEN
    END;
    BEGIN
        EXECUTE 'EXPLAIN SELECT (' || expression || E'\n) FROM data';
    EXCEPTION WHEN OTHERS THEN
        id := -1; state := SQLSTATE; message := SQLERRM; is_null := true;
        RETURN NEXT;
        RETURN;
    END;
    FOR row_id IN SELECT data.id FROM data LOOP
        BEGIN
            RETURN QUERY EXECUTE replace(query, 'FROM data %s', 'FROM data WHERE data.id = ' || row_id);
        EXCEPTION WHEN OTHERS THEN
            id := row_id; state := SQLSTATE; message := SQLERRM; is_null := true; value := NULL; typ := NULL;
            RETURN NEXT;
        END;
    END LOOP;
END
$$;
