-- +goose Up

-- Keys of the HTTP API, of every pipeline in this database. The key itself is
-- shown once, when it is made: here is its hash. A key has 130 random bits, so
-- a quick hash is as good as a slow one. Revoked keys stay, so that it is known
-- that the API of this database asks for keys.
CREATE TABLE millstream.api_keys (
    id         text COLLATE "C" PRIMARY KEY,    -- the part of the key that may be shown
    name       text NOT NULL CHECK (name <> ''),
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32), -- of the whole key
    scopes     text[] NOT NULL CHECK (scopes <@ ARRAY['ingest', 'read', 'admin'] AND cardinality(scopes) > 0),
    rate       double precision CHECK (rate > 0), -- requests per second; NULL: the server's setting
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    expires_at timestamptz,                     -- NULL: never
    revoked_at timestamptz
);
CREATE UNIQUE INDEX api_keys_name ON millstream.api_keys (name) WHERE revoked_at IS NULL;
