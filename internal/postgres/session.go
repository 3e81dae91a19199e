package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// session is the connection that commits go through, with the statements it
// has prepared and the temporary tables it has made. One goroutine uses it.
type session struct {
	conn     *pgx.Conn
	prepared map[string]string // SQL to statement name
	made     map[string]bool   // temporary tables
}

func connect(ctx context.Context, cfg *pgx.ConnConfig) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &session{conn: conn, prepared: map[string]string{}, made: map[string]bool{}}, nil
}

// close ends the connection, without waiting for a server that is silent.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = s.conn.Close(ctx)
}

// prepare gives the name of the prepared statement for sql.
func (s *session) prepare(ctx context.Context, sql string) (string, error) {
	if name, ok := s.prepared[sql]; ok {
		return name, nil
	}
	name := fmt.Sprintf("millstream_%d", len(s.prepared)+1)
	if _, err := s.conn.PgConn().Prepare(ctx, name, sql, nil); err != nil {
		return "", fmt.Errorf("prepare %s: %w", sql, err)
	}
	s.prepared[sql] = name
	return name, nil
}

// statement is one statement with its parameters in binary.
type statement struct {
	sql    string
	params [][]byte
}

var binaryFormat = []int16{1}

// send sends statements together, one round trip for all, and gives their
// results in binary. The first error ends it.
func (s *session) send(ctx context.Context, statements []statement) ([]*pgconn.Result, error) {
	if len(statements) == 0 {
		return nil, nil
	}
	batch := &pgconn.Batch{}
	for _, st := range statements {
		name, err := s.prepare(ctx, st.sql)
		if err != nil {
			return nil, err
		}
		batch.ExecPrepared(name, st.params, binaryFormat, binaryFormat)
	}
	results, err := s.conn.PgConn().ExecBatch(ctx, batch).ReadAll()
	for i, r := range results {
		if r.Err != nil {
			return nil, fmt.Errorf("%s: %w", statements[i].sql, r.Err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", statements[min(len(results), len(statements)-1)].sql, err)
	}
	return results, nil
}

// commit sends COMMIT, calls sent when it has left, and reads the answer.
// unknown tells that it left and was not answered: the outcome is not known.
func (s *session) commit(ctx context.Context, sent func()) (unknown bool, err error) {
	pipeline := s.conn.PgConn().StartPipeline(ctx)
	pipeline.SendQueryParams("COMMIT", nil, nil, nil, nil)
	pipeline.SendPipelineSync()
	if err := pipeline.Flush(); err != nil {
		_ = pipeline.Close()
		return true, err
	}
	sent()
	tag, err := commitAnswer(pipeline)
	if closing := pipeline.Close(); err == nil {
		err = closing
	}
	switch {
	case err == nil && tag == "COMMIT":
		return false, nil
	case err == nil:
		return false, fmt.Errorf("%w (tag %q)", errRolledBack, tag)
	}
	// A statement's error is an answer: nothing was committed. An error that
	// ended the session may have come after the transaction's end.
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || pg.Severity != "ERROR", err
}

// commitAnswer reads COMMIT's command tag, and then that the server is ready.
func commitAnswer(pipeline *pgconn.Pipeline) (string, error) {
	var tag string
	for {
		result, err := pipeline.GetResults()
		if err != nil {
			return "", err
		}
		switch r := result.(type) {
		case *pgconn.ResultReader:
			t, err := r.Close()
			if err != nil {
				return "", err
			}
			tag = t.String()
		case *pgconn.PipelineSync:
			return tag, nil
		default:
			return "", fmt.Errorf("unexpected answer %T to COMMIT", result)
		}
	}
}

// rollback ends a failed transaction; a connection that can't is closed.
func (s *session) rollback() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if _, err := s.conn.Exec(ctx, "ROLLBACK"); err != nil {
		s.close()
	}
}
