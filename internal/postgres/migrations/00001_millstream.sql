-- +goose Up

-- One row for each pipeline. Every commit locks its row: it is the fence.
CREATE TABLE millstream.pipelines (
    name            text COLLATE "C" PRIMARY KEY,
    cluster_id      text NOT NULL,              -- of the Kafka cluster it reads
    target_schema   text NOT NULL,              -- where its tables live
    definition      text NOT NULL,              -- the file
    definition_hash text NOT NULL,              -- of the definition, formatting and comments aside
    state_format    integer NOT NULL,           -- of the bytes in millstream.state
    generation      bigint NOT NULL DEFAULT 0,  -- raised by each engine that starts
    api             text,                       -- where the engine that leads answers, if it tells
    build           integer NOT NULL DEFAULT 1, -- the one that the tables show
    last_build      integer NOT NULL DEFAULT 1, -- the greatest number given out
    created_at      timestamptz NOT NULL DEFAULT now(),
    changed_at      timestamptz NOT NULL DEFAULT now()
);

-- One row for each commit; adjacent old ones are merged: ranges are joined,
-- counts added, and of what stands (watermarks, floors) the last is kept.
--
-- partitions: [{"table", "server", "topic", "topic_id", "partition", "from",
-- "to", "watermark", "idle_since"}], those that moved or changed their
-- idleness; "lost": [{"from", "to"}] is there where offsets among them were gone
-- from Kafka and somebody has accepted that. views: [{"view", "watermark", "floor", "final_before",
-- "final_start", "rows_out", "open_windows", "open_groups", "inputs": [{"source", "table",
-- "partition", "read", "accepted", "filtered", "late", "quarantined",
-- "skipped"}]}], all of them. Times are timestamptz texts, -infinity where
-- there is none yet. Rows of windows that end at or before final_before are
-- final: those that start before final_start. While windows are being closed
-- a view also has "decided", the watermark that it will have once their last
-- rows are written, and "closed" and "closed_groups": up to which end windows
-- are wholly closed, and how many groups of the next; "expiring" while more
-- rows are due to expire than one commit deletes. "forgotten_end" and
-- "forgotten_start" are there once something that was kept of closed windows had
-- to go: of windows up to that one nothing may be kept. The views below spread the
-- documents out. Commits and what hangs on them have no foreign key to
-- pipelines: its check for each row would cost more than the row.
CREATE TABLE millstream.commits (
    pipeline       text COLLATE "C" NOT NULL,
    build          integer NOT NULL,
    seq_from       bigint NOT NULL,
    seq            bigint NOT NULL,
    generation     bigint NOT NULL,
    partitions     jsonb NOT NULL,
    views          jsonb NOT NULL,
    lookups        jsonb NOT NULL DEFAULT '{}', -- versions of the tables looked up
    pinned         boolean NOT NULL DEFAULT false, -- idleness moved a floor or a lookup changed: never merged
    level          smallint NOT NULL DEFAULT 0, -- how often it was merged
    engine_version text NOT NULL,
    sealed_at      timestamptz NOT NULL,        -- the engine's clock
    committed_at   timestamptz NOT NULL DEFAULT now(), -- the server's
    PRIMARY KEY (pipeline, build, seq),
    CHECK (seq_from <= seq)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1);

-- Finds the rows that are due to be merged.
CREATE INDEX commits_upkeep ON millstream.commits (pipeline, build, level, seq) WHERE NOT pinned;

CREATE VIEW millstream.commit_partitions AS
SELECT c.pipeline, c.build, c.generation, c.seq_from, c.seq, c.sealed_at, c.committed_at,
       p."table" AS foreign_table, p.server, p.topic, p.topic_id, p.partition,
       p."from" AS offset_from, p."to" AS offset_to, p.watermark, p.idle_since,
       p.read_at, p.greatest_at, p.lost
FROM millstream.commits AS c
CROSS JOIN LATERAL jsonb_to_recordset(c.partitions) AS p (
    "table" text, server text, topic text, topic_id uuid, partition integer,
    "from" bigint, "to" bigint, watermark timestamptz, idle_since timestamptz,
    read_at timestamptz, greatest_at timestamptz, lost jsonb);

CREATE VIEW millstream.commit_views AS
SELECT c.pipeline, c.build, c.generation, c.seq_from, c.seq, c.sealed_at, c.committed_at,
       v."view" AS view_name, v.watermark, v.floor, v.final_before, v.final_start,
       v.rows_out, v.open_windows, v.open_groups, v.inputs,
       coalesce(v.decided, v.watermark) AS decided, coalesce(v.closed, v.floor) AS closed,
       coalesce(v.closed_groups, 0) AS closed_groups, coalesce(v.expiring, false) AS expiring,
       v.forgotten_end, v.forgotten_start
FROM millstream.commits AS c
CROSS JOIN LATERAL jsonb_to_recordset(c.views) AS v (
    "view" text, watermark timestamptz, floor timestamptz, final_before timestamptz,
    final_start timestamptz, rows_out bigint, open_windows bigint, open_groups bigint, inputs jsonb,
    decided timestamptz, closed timestamptz, closed_groups bigint, expiring boolean,
    forgotten_end timestamptz, forgotten_start timestamptz);

CREATE VIEW millstream.commit_inputs AS
SELECT v.pipeline, v.build, v.generation, v.seq_from, v.seq, v.view_name,
       i.source, i."table" AS foreign_table, i.partition,
       i.read, i.accepted, i.filtered, i.late, i.quarantined, i.skipped
FROM millstream.commit_views AS v
CROSS JOIN LATERAL jsonb_to_recordset(v.inputs) AS i (
    source integer, "table" text, partition integer, read bigint, accepted bigint,
    filtered bigint, late bigint, quarantined bigint, skipped bigint);

-- Operator state: a base holds a whole shard, a delta (shard -1) what one
-- commit changed in any of them.
CREATE TABLE millstream.state (
    pipeline text COLLATE "C" NOT NULL,
    build    integer NOT NULL,
    operator text COLLATE "C" NOT NULL, -- the view
    shard    integer NOT NULL,
    seq      bigint NOT NULL,           -- of the commit that wrote it
    part     integer NOT NULL,          -- parts of one blob are joined in order
    parts    integer NOT NULL,          -- how many it has
    base     boolean NOT NULL,
    sha256   bytea NOT NULL,            -- of data
    data     bytea NOT NULL,
    PRIMARY KEY (pipeline, build, operator, shard, seq, part)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1);
ALTER TABLE millstream.state ALTER COLUMN data SET STORAGE EXTERNAL; -- it is compact already

-- Versions of the tables that views join with: each as commits.lookups names
-- it, whole (kind rows) or as what the version before lacks (added) and has too
-- much (removed). They outlive builds: a rebuild meets the same ones.
CREATE TABLE millstream.lookup_versions (
    pipeline  text COLLATE "C" NOT NULL,
    lookup    text COLLATE "C" NOT NULL, -- the table, schema.name
    version   bigint NOT NULL,
    kind      text COLLATE "C" NOT NULL CHECK (kind IN ('rows', 'added', 'removed')),
    part      integer NOT NULL,          -- from 0
    parts     integer NOT NULL,          -- how many there are of the kind
    columns   jsonb NOT NULL,            -- [{"name", "type"}]
    row_count bigint NOT NULL,
    sha256    bytea NOT NULL,            -- of data
    data      bytea NOT NULL,            -- rows in the binary format of COPY, without its header and end, gzip
    read_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline, lookup, version, kind, part)
);
ALTER TABLE millstream.lookup_versions ALTER COLUMN data SET STORAGE EXTERNAL; -- it is compressed already

-- Accumulators of windows that are closed: what a replay of late rows merges
-- into. A window of few groups has one row, of shard -1; of a larger one each
-- shard has rows of its own. It is whole when the groups of its rows add up to
-- window_groups: while it is being closed some are missing.
CREATE TABLE millstream.closed_windows (
    pipeline      text COLLATE "C" NOT NULL,
    build         integer NOT NULL,
    operator      text COLLATE "C" NOT NULL, -- the view
    window_start  timestamptz NOT NULL,
    window_end    timestamptz NOT NULL,
    shard         integer NOT NULL,
    part          bigint NOT NULL, -- the number of its first group in the window's key order
    groups        bigint NOT NULL,
    window_groups bigint NOT NULL, -- of all rows of the window
    seq           bigint NOT NULL, -- of the commit that closed or last corrected it
    sha256        bytea NOT NULL,  -- of data
    data          bytea NOT NULL,  -- zstd
    PRIMARY KEY (pipeline, build, operator, window_end, window_start, shard, part)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1);
ALTER TABLE millstream.closed_windows ALTER COLUMN data SET STORAGE EXTERNAL; -- it is compressed already

-- What was asked of the rows of the ledgers: to be sent through again, which
-- the engine does in the transaction of a commit, once; or to be dropped. A row
-- is told by its record, since a rebuild gives it another id.
--
-- outcome: what became of the record in each branch of a view that it was sent
-- through: [{"view", "source", "fate", "reason", "windows": [{"start", "end",
-- "corrected"}]}]; fates are accepted, filtered, late, quarantined. fault: what
-- is still wrong with the payload: {"cause", "column", "path", "position",
-- "expected", "sqlstate", "message"}.
CREATE TABLE millstream.replays (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline      text COLLATE "C" NOT NULL REFERENCES millstream.pipelines (name) ON DELETE CASCADE,
    ledger        text NOT NULL CHECK (ledger IN ('quarantine', 'late_rows')),
    ledger_id     bigint NOT NULL,  -- the row's id there
    foreign_table text NOT NULL,
    server        text NOT NULL,
    topic         text NOT NULL,
    partition     integer NOT NULL,
    "offset"      bigint NOT NULL,
    view_name     text,             -- NULL: every view of the foreign table
    source        integer,
    window_start  timestamptz,      -- of late_rows
    record_timestamp timestamptz NOT NULL,
    key           bytea,
    headers       jsonb,
    payload       bytea,            -- as it was, or edited
    edited        boolean NOT NULL DEFAULT false,
    state         text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'applied', 'refused', 'void', 'dropped')),
    reason        text,             -- why it was refused or dropped, or has become void
    outcome       jsonb,
    fault         jsonb,
    requested_by  text NOT NULL DEFAULT session_user,
    requested_at  timestamptz NOT NULL DEFAULT now(),
    build         integer,          -- of the commit that has settled it last
    seq           bigint,
    generation    bigint,
    applied_at    timestamptz
);
CREATE INDEX replays_requested ON millstream.replays (pipeline, id) WHERE state = 'requested';
CREATE INDEX replays_record ON millstream.replays (pipeline, foreign_table, partition, "offset");
CREATE UNIQUE INDEX replays_once ON millstream.replays (pipeline, ledger, foreign_table, partition, "offset", view_name, source, window_start)
    NULLS NOT DISTINCT WHERE state IN ('requested', 'applied', 'dropped');

-- Closed windows that replays have changed: how often, and when last.
CREATE VIEW millstream.corrections AS
SELECT r.pipeline, r.build, f.view AS view_name, w."start" AS window_start, w."end" AS window_end,
       count(*) AS replays, max(r.seq) AS seq, max(r.applied_at) AS corrected_at
FROM millstream.replays AS r
CROSS JOIN LATERAL jsonb_to_recordset(r.outcome) AS f (view text, fate text, windows jsonb)
CROSS JOIN LATERAL jsonb_to_recordset(f.windows) AS w ("start" timestamptz, "end" timestamptz, corrected boolean)
WHERE r.state = 'applied' AND w.corrected
GROUP BY 1, 2, 3, 4, 5;

-- What the clock has decided in builds before: a build that follows obeys it.
-- Where the first build began to read.
CREATE TABLE millstream.beginnings (
    pipeline      text COLLATE "C" NOT NULL,
    foreign_table text NOT NULL,
    partition     integer NOT NULL,
    topic_id      uuid NOT NULL,
    offset_from   bigint NOT NULL,
    PRIMARY KEY (pipeline, foreign_table, partition)
);

-- Where floors were moved while partitions were idle, where tables that are
-- looked up came to another version, and where replays were applied, in order.
CREATE TABLE millstream.decisions (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline  text COLLATE "C" NOT NULL,
    positions jsonb NOT NULL, -- [{"table", "partition", "to"}]: how far had been read
    views     jsonb NOT NULL, -- [{"view", "watermark", "floor"}]
    lookups   jsonb NOT NULL DEFAULT '{}', -- or which versions of tables records met from there on: {"table": version}
    replays   jsonb NOT NULL DEFAULT '[]'  -- or which replays were applied there: [id]
);
CREATE INDEX decisions_order ON millstream.decisions (pipeline, id);

-- Records that were refused as from the future.
CREATE TABLE millstream.future_refusals (
    pipeline      text COLLATE "C" NOT NULL,
    foreign_table text NOT NULL,
    partition     integer NOT NULL,
    "offset"      bigint NOT NULL,
    PRIMARY KEY (pipeline, foreign_table, partition, "offset")
);

-- Records that could not be decoded, stored or evaluated.
CREATE TABLE millstream.quarantine (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline       text COLLATE "C" NOT NULL,
    build          integer NOT NULL,
    seq            bigint NOT NULL,  -- of the commit
    generation     bigint NOT NULL,
    foreign_table  text NOT NULL,
    server         text NOT NULL,
    topic          text NOT NULL,
    partition      integer NOT NULL,
    "offset"       bigint NOT NULL,
    record_timestamp timestamptz NOT NULL, -- Kafka's
    view_name      text,             -- NULL: it counts in every view of the foreign table
    source         integer,          -- the branch of the view's UNION ALL
    cause          text NOT NULL,    -- decode, event_time, future, expression, key_size, size
    statement      text NOT NULL,    -- that refused it
    column_name    text,
    json_path      text,
    byte_position  integer,          -- in the payload, from 0
    expected_type  text,
    sqlstate       text,
    message        text NOT NULL,
    key            bytea,            -- up to a limit
    headers        jsonb,            -- [[name, value], …]; a value that is not text as {"base64": …}
    payload        bytea,            -- up to a limit; NULL for a tombstone
    payload_size   bigint,           -- of the whole payload
    payload_sha256 bytea,            -- of the whole payload
    refused_at     timestamptz NOT NULL DEFAULT now(),
    replay_id      bigint,           -- the replay that brought it here again
    UNIQUE NULLS NOT DISTINCT (pipeline, build, foreign_table, partition, "offset", view_name, source, replay_id)
);
CREATE INDEX quarantine_seq ON millstream.quarantine (pipeline, build, seq);

-- Records that a window refused, one row for each window.
CREATE TABLE millstream.late_rows (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline       text COLLATE "C" NOT NULL,
    build          integer NOT NULL,
    seq            bigint NOT NULL,
    generation     bigint NOT NULL,
    foreign_table  text NOT NULL,
    server         text NOT NULL,
    topic          text NOT NULL,
    partition      integer NOT NULL,
    "offset"       bigint NOT NULL,
    record_timestamp timestamptz NOT NULL,
    view_name      text NOT NULL,
    source         integer NOT NULL,
    event_time     timestamptz NOT NULL,
    window_start   timestamptz NOT NULL,
    window_end     timestamptz NOT NULL,
    watermark      timestamptz NOT NULL, -- the partition's own, at this record
    floor          timestamptz NOT NULL, -- the view's, of the commit before
    late_by        interval NOT NULL,    -- from window_end to the greater of the two
    cause          text NOT NULL CHECK (cause IN ('watermark', 'floor')),
    accepted       boolean NOT NULL DEFAULT false, -- other windows of the view, which overlap this one, took the record
    key            bytea,
    headers        jsonb,
    payload        bytea,
    payload_size   bigint,
    payload_sha256 bytea,
    refused_at     timestamptz NOT NULL DEFAULT now(),
    replay_id      bigint,
    UNIQUE NULLS NOT DISTINCT (pipeline, build, view_name, foreign_table, partition, "offset", source, window_start, replay_id)
);
CREATE INDEX late_rows_seq ON millstream.late_rows (pipeline, build, seq);

-- Groups whose outputs do not evaluate at the moment: their rows are absent.
CREATE TABLE millstream.group_errors (
    pipeline   text COLLATE "C" NOT NULL,
    build      integer NOT NULL,
    view_name  text COLLATE "C" NOT NULL,
    key_sha256 bytea NOT NULL, -- of group_key, which may be too long for an index
    group_key  text NOT NULL,  -- JSON
    sqlstate   text NOT NULL,
    message    text NOT NULL,
    seq        bigint NOT NULL, -- of the commit that last said so
    generation bigint NOT NULL,
    failed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline, build, view_name, key_sha256)
);

-- What the file defines and has run, so that nothing is run twice and a
-- change can be told by name.
CREATE TABLE millstream.statements (
    pipeline text COLLATE "C" NOT NULL REFERENCES millstream.pipelines (name) ON DELETE CASCADE,
    object   text COLLATE "C" NOT NULL, -- what it makes or changes
    kind     text NOT NULL CHECK (kind IN ('topic', 'view', 'replaceable', 'once')),
    hash     text NOT NULL,
    sql      text NOT NULL,
    relation text,                      -- that it makes, qualified
    ordinal  integer NOT NULL,          -- its place in the file
    line     integer NOT NULL,
    run_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline, object)
);

-- Which tables belong to which pipeline and build.
CREATE TABLE millstream.objects (
    schema_name text COLLATE "C" NOT NULL,
    table_name  text COLLATE "C" NOT NULL,
    pipeline    text COLLATE "C" NOT NULL REFERENCES millstream.pipelines (name) ON DELETE CASCADE,
    build       integer NOT NULL,
    view_name   text NOT NULL,
    mode        text NOT NULL CHECK (mode IN ('append', 'latest', 'grouped')),
    emit        text NOT NULL CHECK (emit IN ('update', 'final')),
    key_columns text[] NOT NULL,        -- of the unique key, in order
    window_start_column text,           -- of the table, where the view selects it
    window_end_column   text,
    relation    oid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema_name, table_name)
);
CREATE INDEX objects_pipeline ON millstream.objects (pipeline);
