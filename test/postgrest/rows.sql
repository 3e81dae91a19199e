-- What client.mjs asks for.
CREATE TABLE orders (
    id integer PRIMARY KEY, type text, amount numeric(10, 2), paid boolean, note text, odd text,
    tags text[], doc jsonb, span int4range, at timestamptz
);
INSERT INTO orders
SELECT i, (ARRAY['a', 'b', 'c'])[i % 4], i * 1.5, i % 2 = 0, 'note ' || i, (ARRAY['a,b', 'say "hi"', '(x)', 'plain'])[1 + (i - 1) % 4],
       ARRAY[CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END, 't' || i % 3],
       jsonb_build_object('n', i, 'user', jsonb_build_object('name', 'u' || i % 3)),
       int4range(i, i + 5), timestamptz '2024-01-01Z' + i * interval '1 hour'
FROM generate_series(1, 60) AS i;
ANALYZE orders;
