-- One row for each event that passes the filter.
CREATE FOREIGN TABLE input (
    id   bigint      NOT NULL,
    text text,
    at   timestamptz NOT NULL
) SERVER kafka OPTIONS (topic 'input', format 'json', event_time 'at', watermark '1 minute');

CREATE MATERIALIZED VIEW output AS
SELECT id, upper(text) AS text, at FROM input WHERE id > 0;

COMMENT ON MATERIALIZED VIEW output IS 'The events with a positive id';
