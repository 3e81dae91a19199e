package crash

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

// TestPlantedWrongsAreTold spoils rows and ledgers, each in the way that a
// bug would, and looks whether what ends each chain tells it.
func TestPlantedWrongsAreTold(t *testing.T) {
	s := openShop(t)
	s.judge(t, s.undisturbed)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.undisturbed)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	verify := func() (string, error) {
		report, err := oracle.Verify(ctx, s.oracle(s.undisturbed))
		if err != nil || report.Equal() {
			return "", err
		}
		return report.Err().Error(), nil
	}
	keeps := func() (string, error) {
		broken, err := oracle.Invariants(ctx, s.undisturbed, name)
		var told []string
		for _, d := range broken {
			told = append(told, d.String())
		}
		return strings.Join(told, "\n"), err
	}
	for _, c := range []struct {
		plant string
		judge func() (string, error)
		told  []string // one for each statement
	}{
		{`UPDATE sales SET revenue = revenue + 0.01 WHERE ctid = (SELECT min(ctid) FROM sales WHERE revenue IS NOT NULL);
			DELETE FROM units WHERE ctid = (SELECT min(ctid) FROM units);
			INSERT INTO customers (customer, orders) VALUES (-1, 1);
			UPDATE millstream.late_rows SET watermark = watermark + interval '1 second' WHERE id = (SELECT min(id) FROM millstream.late_rows);
			UPDATE millstream.quarantine SET sqlstate = '22012' WHERE id = (SELECT min(id) FROM millstream.quarantine WHERE sqlstate <> '22012');
			DELETE FROM millstream.group_errors WHERE ctid = (SELECT min(ctid) FROM millstream.group_errors)`, verify,
			[]string{"sales: columns differ", "units: missing row", "customers: extra row", "wrongly in quarantine", "late_rows is wrong", "missing in group_errors"}},
		{`DELETE FROM millstream.late_rows WHERE id = (SELECT min(id) FROM millstream.late_rows)`, keeps, []string{"invariant 2"}},
		{`DELETE FROM millstream.commits WHERE seq = 5`, keeps, []string{"invariant 1", "invariant 3"}},
	} {
		if _, err := conn.PgConn().Exec(ctx, c.plant).ReadAll(); err != nil {
			t.Fatalf("%s: %v", c.plant, err)
		}
		told, err := c.judge()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range c.told {
			if !strings.Contains(told, text) {
				t.Errorf("after %s\nnothing with %q is told:\n%s", c.plant, text, told)
			}
		}
	}
	if line.Differ(s.want, line.Dump(t, s.undisturbed, name)) == "" {
		t.Error("the tables' texts are the same")
	}
}
