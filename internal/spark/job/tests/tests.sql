CREATE FOREIGN TABLE readings (
    at     timestamptz   NOT NULL,
    sensor text          NOT NULL,
    value  double precision,
    price  numeric(6, 2)
) SERVER kafka OPTIONS (topic 'readings', event_time 'at', watermark '5 minutes');

CREATE MATERIALIZED VIEW averages AS
SELECT window_start, sensor, avg(value) AS mean, sum(price) AS paid, count(*) AS n, count(*) FILTER (WHERE value > 10) AS high
FROM tumble(readings, at, INTERVAL '5 minutes') WHERE sensor <> 'ignored'
GROUP BY window_start, sensor HAVING count(*) < 4;

CREATE MATERIALIZED VIEW rows_out AS SELECT sensor, 100 / (value::integer) AS share FROM readings;

CREATE MATERIALIZED VIEW ratios AS
SELECT window_start, 1 / (count(*) - 2) AS ratio FROM tumble(readings, at, INTERVAL '1 hour') GROUP BY window_start;
