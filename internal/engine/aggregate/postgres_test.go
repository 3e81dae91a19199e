package aggregate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// TestVarianceIsPostgres compares the exact functions of squared deviations
// with PostgreSQL's, to the last digit.
func TestVarianceIsPostgres(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	values := map[column.Kind]func() string{
		column.Int2: func() string { return fmt.Sprint(int16(rng.Uint32())) },
		column.Int4: func() string { return fmt.Sprint(int32(rng.Uint32()) >> rng.IntN(32)) },
		column.Int8: func() string { return fmt.Sprint(int64(rng.Uint64()) >> rng.IntN(64)) },
		column.Numeric: func() string {
			switch rng.IntN(40) {
			case 0:
				return "NULL"
			case 1:
				return fmt.Sprintf("0.%0*d", 1+rng.IntN(40), 1+rng.IntN(9))
			}
			return randomNumeric(rng)
		},
	}
	for _, kind := range []expr.AggregateKind{expr.VarPop, expr.VarSamp, expr.StddevPop, expr.StddevSamp} {
		for arg, value := range values {
			for range 60 {
				list := make([]string, 1+rng.IntN(12))
				for i := range list {
					list[i] = value()
				}
				if rng.IntN(8) == 0 { // all alike
					for i := range list {
						list[i] = list[0]
					}
				}
				a := New(kind, column.Of(arg), column.Of(column.Numeric))
				a.Grow(1)
				a.Update(rowsOf(len(list), 0), texts(t, column.Of(arg), list))
				got := result(a, column.Of(column.Numeric), 0)
				var want string
				sql := fmt.Sprintf("SELECT coalesce(%s(nullif(x, 'NULL')::%s)::text, 'NULL') FROM unnest($1::text[]) AS x", kind, arg.Name())
				if err := conn.QueryRow(ctx, sql, list).Scan(&want); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Fatalf("%s of %s: got %s, PostgreSQL %s", kind, strings.Join(list, ", "), got, want)
				}
			}
		}
	}
}
