-- +goose Up

-- Requests with idempotency keys that came in a partition, so that their
-- records are counted once however often they are sent. Each row holds those
-- that came or grew with its commit, or with several before it; read in order
-- of seq they are all that is remembered.
CREATE TABLE millstream.idempotency_keys (
    pipeline      text COLLATE "C" NOT NULL,
    build         integer NOT NULL,
    foreign_table text COLLATE "C" NOT NULL,
    partition     integer NOT NULL,
    seq           bigint NOT NULL, -- of the commit
    sha256        bytea NOT NULL,  -- of data
    data          bytea NOT NULL,
    PRIMARY KEY (pipeline, build, foreign_table, partition, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1);
ALTER TABLE millstream.idempotency_keys ALTER COLUMN data SET STORAGE EXTERNAL; -- digests don't compress
