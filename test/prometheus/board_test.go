package prometheus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/test/line"
)

// schema names a folder with Grafana's schema and TypeScript.
const schema = "MILLSTREAM_TEST_GRAFANA_SCHEMA"

// options are the types of a panel's options in Grafana's schema.
var options = map[string]string{"stat": "Stat", "timeseries": "Series"}

const schemaImports = `import type { Dashboard, Panel, RowPanel, VariableModel, DataQuery } from '@grafana/schema';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as Series } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
type Query = DataQuery & { expr: string; legendFormat: string; range: boolean; instant: boolean; editorMode: 'code' | 'builder'; datasource: { type: string; uid: string } };
// JSON has an enum's values, which TypeScript does not take for the enum.
type JSONOf<T> = T extends string ? ` + "`${T}`" + ` : T extends (infer U)[] ? JSONOf<U>[] : T extends object ? { [K in keyof T]: JSONOf<T[K]> } : T;
`

// TestBoardFollowsTheSchema has TypeScript hold the board to the types that
// Grafana publishes: the whole, each variable, each panel, its options and its
// queries. A field that the schema does not know is an error.
func TestBoardFollowsTheSchema(t *testing.T) {
	dir := os.Getenv(schema)
	if dir == "" {
		t.Skip(schema + " does not name a folder with Grafana's schema: test/prometheus/run does")
	}
	b, err := os.ReadFile(filepath.Join(line.Root(), "deploy", "grafana", "millstream.json"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := typescript(b)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := compile(t, dir, source); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// The check itself is checked: a misspelt field must be found.
	for _, change := range [][2]string{{`"legendFormat"`, `"legendFormt"`}, {`"schemaVersion"`, `"schemaversion"`}, {`"reduceOptions"`, `"reduceOption"`}, {`"gridPos"`, `"gridpos"`}} {
		if _, err := compile(t, dir, strings.Replace(source, change[0], change[1], 1)); err == nil {
			t.Errorf("%s in place of %s passes", change[1], change[0])
		}
	}
}

// typescript gives a program that compiles only if the board is as the schema
// says.
func typescript(board []byte) (string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(board, &all); err != nil {
		return "", err
	}
	var panels []map[string]json.RawMessage
	if err := json.Unmarshal(all["panels"], &panels); err != nil {
		return "", err
	}
	var variables struct{ List []json.RawMessage }
	if err := json.Unmarshal(all["templating"], &variables); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(schemaImports)
	n := 0
	is := func(kind string, value []byte) {
		n++
		fmt.Fprintf(&b, "export const v%d: JSONOf<%s> = %s;\n", n, kind, value)
	}
	for _, v := range variables.List {
		is("VariableModel", v)
	}
	for _, p := range panels {
		kind := string(bytes.Trim(p["type"], `"`))
		if kind == "row" {
			is("RowPanel", marshal(p))
			continue
		}
		if options[kind] == "" {
			return "", fmt.Errorf("the options of a panel of type %q are not checked", kind)
		}
		is(options[kind], p["options"])
		is("Query[]", p["targets"])
		is("Panel", marshal(p))
	}
	all["panels"] = json.RawMessage("[]")
	is("Dashboard", marshal(all))
	return b.String(), nil
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // what was read can be written
	}
	return b
}

func compile(t *testing.T, modules, source string) ([]byte, error) {
	t.Helper()
	dir, err := os.MkdirTemp(modules, "board-") //nolint:usetesting // modules are looked for from here
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{
		"board.ts":      source,
		"tsconfig.json": `{"compilerOptions": {"strict": true, "noEmit": true, "module": "nodenext", "moduleResolution": "nodenext", "skipLibCheck": true, "types": [], "target": "es2022"}, "files": ["board.ts"]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return exec.Command(filepath.Join(modules, "node_modules", ".bin", "tsc"), "-p", dir).CombinedOutput()
}
