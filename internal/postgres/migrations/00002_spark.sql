-- +goose Up

-- What the Spark job keeps. One row for each micro-batch of each of its
-- queries: a batch whose row is here is never written again.
CREATE TABLE millstream.spark_commits (
    pipeline     text COLLATE "C" NOT NULL,
    build        integer NOT NULL,
    query        text COLLATE "C" NOT NULL, -- "view v", "ledger t"
    batch        bigint NOT NULL,           -- Spark's number
    generation   bigint NOT NULL,
    spark_query  text NOT NULL,             -- the id that Spark keeps in the checkpoint
    offsets      jsonb NOT NULL,            -- ends of the batch: [{"topic": {"partition": offset}}], one for each input
    watermark    timestamptz,               -- that the batch ran with
    rows         bigint NOT NULL,           -- that it staged
    committed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline, build, query, batch)
);

-- Rows that tasks have written and no transaction has merged yet. What a dead
-- driver has left is deleted by the next batch of the same query.
CREATE TABLE millstream.spark_staging (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text COLLATE "C" NOT NULL,
    query    text COLLATE "C" NOT NULL,
    batch    bigint NOT NULL,
    run      text COLLATE "C" NOT NULL, -- one attempt at the batch
    cells    text[] NOT NULL
);
CREATE INDEX spark_staging_run ON millstream.spark_staging (pipeline, query, run);

-- The Spark application of a pipeline, and what it is asked.
CREATE TABLE millstream.spark_applications (
    pipeline       text COLLATE "C" PRIMARY KEY REFERENCES millstream.pipelines (name) ON DELETE CASCADE,
    generation     bigint NOT NULL,
    application_id text NOT NULL,
    spark_version  text NOT NULL,
    master         text NOT NULL,
    ui             text,
    state          text NOT NULL CHECK (state IN ('running', 'stopped', 'failed')),
    message        text,
    progress       jsonb NOT NULL DEFAULT '{}', -- by query: Spark's last progress
    stop_requested boolean NOT NULL DEFAULT false,
    started_at     timestamptz NOT NULL DEFAULT now(),
    seen_at        timestamptz NOT NULL DEFAULT now()
);

-- A time as the job passes it on: microseconds since 2000-01-01.
-- +goose StatementBegin
CREATE FUNCTION millstream.spark_time(micros bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CASE micros
    WHEN 9223372036854775807 THEN 'infinity'::timestamptz
    WHEN -9223372036854775808 THEN '-infinity'::timestamptz
    ELSE timestamptz '2000-01-01 00:00:00+00' + make_interval(days => (micros / 86400000000)::integer)
         + (micros % 86400000000) * interval '1 microsecond'
END
$$;
-- +goose StatementEnd
