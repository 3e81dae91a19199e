CREATE FOREIGN TABLE orders (
    id     bigint      NOT NULL,
    at     timestamptz NOT NULL,
    kind   text        NOT NULL,
    amount numeric,
    tags   jsonb,
    note   jsonb
) SERVER kafka OPTIONS (topic 'orders', event_time 'at', watermark '1 minute');

CREATE MATERIALIZED VIEW per_minute AS
SELECT window_start, window_end, kind, count(*) AS orders, sum(amount) AS amount, avg(amount::double precision) AS average
FROM tumble(orders, at, INTERVAL '1 minute')
GROUP BY window_start, window_end, kind;

CREATE MATERIALIZED VIEW all_orders AS
SELECT id, at, kind, amount, tags, note FROM orders;

CREATE VIEW kinds AS
SELECT kind, sum(orders)::bigint AS orders, bool_and(amount > 0) AS paid FROM per_minute GROUP BY kind;

COMMENT ON MATERIALIZED VIEW per_minute IS 'Orders of each kind, minute by minute';
COMMENT ON COLUMN per_minute.amount IS 'What they come to, in euros';
