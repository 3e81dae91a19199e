CREATE FOREIGN TABLE raw_data (
    "timestamp" timestamptz      NOT NULL,
    type        text             NOT NULL,
    value       double precision
) SERVER kafka OPTIONS (topic 'raw_data', format 'json', event_time 'timestamp', watermark '5 minutes');

CREATE MATERIALIZED VIEW processed_data AS
SELECT window_start AS "timestamp", type, avg(value) AS value, count(*) AS events
FROM tumble(raw_data, "timestamp", INTERVAL '5 minutes')
GROUP BY window_start, type;

CREATE VIEW stats AS
SELECT type, sum(value * events) / sum(events) AS average_value, sum(events) AS events
FROM processed_data GROUP BY type;

COMMENT ON MATERIALIZED VIEW processed_data IS 'Average value per type and five minutes';
