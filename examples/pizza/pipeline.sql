-- A pizza restaurant's sales by calendar day, hour and week of New York, over
-- the change to daylight saving time on 8 March 2015.
CREATE FOREIGN TABLE orders (
    order_id text          OPTIONS (path '$.order') NOT NULL,
    at       timestamptz   NOT NULL,
    pizza    text          NOT NULL,
    size     varchar(3)    NOT NULL,
    type     text          NOT NULL,
    price    numeric(6, 2) NOT NULL
) SERVER kafka OPTIONS (topic 'pizza_orders', event_time 'at', watermark '1 hour');

CREATE MATERIALIZED VIEW daily_sales AS
SELECT date_trunc('day', at, 'America/New_York') AS day, type,
       count(*) AS pizzas, sum(price) AS revenue, max(price) AS dearest
FROM orders
GROUP BY day, type;

CREATE MATERIALIZED VIEW hourly_rush WITH (emit = 'final') AS
SELECT date_trunc('hour', at, 'America/New_York') AS hour,
       count(*) AS pizzas, count(*) FILTER (WHERE size IN ('XL', 'XXL')) AS very_large, avg(price) AS mean_price
FROM orders
GROUP BY hour
HAVING count(*) >= 20;

CREATE MATERIALIZED VIEW weekly_favourites AS
SELECT date_trunc('week', at, 'America/New_York') AS week, pizza, count(*) AS sold
FROM orders
GROUP BY week, pizza
HAVING count(*) >= 50;

CREATE VIEW revenue AS
SELECT type, sum(pizzas) AS pizzas, sum(revenue) AS revenue FROM daily_sales GROUP BY type;

COMMENT ON MATERIALIZED VIEW daily_sales IS 'Pizzas and revenue by local day and type';
COMMENT ON MATERIALIZED VIEW hourly_rush IS 'Hours with at least twenty pizzas, once they are over';
COMMENT ON MATERIALIZED VIEW weekly_favourites IS 'Pizzas sold at least fifty times in a local week';
