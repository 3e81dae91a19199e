-- Orders as they change, the latest state of each, and revenue per hour.
CREATE FOREIGN TABLE order_events (
    order_id bigint         NOT NULL,
    status   text           NOT NULL,
    country  text           OPTIONS (path '$.customer.country'),
    amount   numeric(12, 2) NOT NULL,
    at       timestamptz    NOT NULL
) SERVER kafka OPTIONS (topic 'order_events', format 'json', event_time 'at', watermark '2 minutes');

CREATE MATERIALIZED VIEW orders WITH (key = 'order_id') AS
SELECT order_id, status, country, amount, at FROM order_events;

CREATE MATERIALIZED VIEW revenue AS
SELECT window_start AS hour, coalesce(country, 'unknown') AS country, sum(amount) AS amount, count(*) AS orders
FROM tumble(order_events, at, INTERVAL '1 hour')
WHERE status = 'paid'
GROUP BY window_start, coalesce(country, 'unknown');

CREATE VIEW revenue_by_country AS
SELECT country, sum(amount) AS amount, sum(orders) AS orders FROM revenue GROUP BY country;

COMMENT ON MATERIALIZED VIEW orders IS 'The latest state of each order';
COMMENT ON MATERIALIZED VIEW revenue IS 'Paid orders per hour and country';
