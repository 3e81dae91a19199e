package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/joho/godotenv"

	"github.com/millstream-dev/millstream/internal/diag"
)

// FileName is the settings file that is looked for in the working folder.
const FileName = "millstream.yaml"

// CodeSetting is the code of every diagnostic about settings.
const CodeSetting = "MS5001"

// Origin says where a value came from.
type Origin string

// Sources are where settings are looked for.
type Sources struct {
	// Flags are the flags that were given, by name.
	Flags map[string]string
	// Environ is the environment, as os.Environ gives it.
	Environ []string
	// Dir is the folder of .env and millstream.yaml; "" for none.
	Dir string
}

// Loaded is the effective configuration and where each value came from.
type Loaded struct {
	Config
	Origins map[string]Origin // by Setting.Key
}

// Load reads the settings. What is wrong with them is told all at once.
func Load(s Sources) (*Loaded, error) {
	l := &loader{out: &Loaded{Config: Default(), Origins: map[string]Origin{}}}
	for _, setting := range Settings {
		l.out.Origins[setting.Key] = "default"
	}
	if s.Dir != "" {
		l.file(filepath.Join(s.Dir, FileName))
		l.dotenv(filepath.Join(s.Dir, ".env"))
	}
	l.environment(environMap(s.Environ), "environment")
	for _, setting := range Settings {
		if v, ok := s.Flags[setting.Flag]; ok && setting.Flag != "" {
			l.set(setting, v, Origin("flag --"+setting.Flag), diag.Position{}, "--"+setting.Flag)
		}
	}
	if serve := &l.out.Serve; serve.Listen == "" && serve.Port != "" {
		serve.Listen = net.JoinHostPort("127.0.0.1", serve.Port)
		l.out.Origins["serve.listen"] = l.out.Origins["serve.port"]
	}
	return l.out, l.problems.Err()
}

// Value gives a setting's effective value as text, secrets hidden.
func (l *Loaded) Value(s Setting) string { return s.get(&l.Config) }

type loader struct {
	out      *Loaded
	problems diag.List
}

func (l *loader) set(s Setting, value string, origin Origin, pos diag.Position, name string) {
	if err := s.set(&l.out.Config, value); err != nil {
		shown := err.Error()
		if s.Secret && s.Key != "database.url" {
			shown = "not a usable value"
		}
		l.problem(pos, fmt.Sprintf("%s: %s", name, shown), s.Key+": "+s.Doc)
		return
	}
	l.out.Origins[s.Key] = origin
}

func (l *loader) problem(pos diag.Position, message, hint string) {
	l.problems = append(l.problems, &diag.Diagnostic{Code: CodeSetting, Pos: pos, Message: message, Hint: hint})
}

// environment takes the variables that settings know, aliases before the
// names proper, so that the latter win. A misspelt MILLSTREAM_ variable is
// refused: nobody else uses the prefix.
func (l *loader) environment(env map[string]string, where string) {
	known := map[string]bool{"MILLSTREAM_FAILPOINT": true, "MILLSTREAM_TEST_DATABASE_URL": true}
	var names []string
	for _, s := range Settings {
		for _, name := range append(append([]string{}, s.Aliases...), s.Env) {
			file := s.FileVariable(name)
			known[name], known[file] = true, true
			names = append(names, name)
			if v, ok := env[name]; ok {
				l.set(s, v, Origin(where+" "+name), diag.Position{}, name)
			}
			if path, ok := env[file]; ok && file != "" {
				l.secretFile(s, path, where, file)
			}
		}
	}
	for name := range env {
		if strings.HasPrefix(name, "MILLSTREAM_") && !known[name] && !strings.HasPrefix(name, "MILLSTREAM_TEST_") {
			hint := "`millstream config` lists the settings"
			if c := diag.Closest(name, names); c != "" {
				hint = fmt.Sprintf("did you mean %s?", c)
			}
			l.problem(diag.Position{}, fmt.Sprintf("unknown variable %s in the %s", name, where), hint)
		}
	}
}

func (l *loader) secretFile(s Setting, path, where, name string) {
	b, err := os.ReadFile(path)
	if err != nil {
		l.problem(diag.Position{}, fmt.Sprintf("%s: %v", name, err), "the file must hold the secret, and be readable")
		return
	}
	l.set(s, strings.TrimRight(string(b), "\r\n"), Origin(where+" "+name), diag.Position{}, name)
}

func (l *loader) dotenv(path string) {
	env, err := godotenv.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.problem(diag.Position{File: path}, err.Error(), "lines are NAME=value")
		return
	}
	l.environment(env, ".env")
}

func (l *loader) file(path string) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.problem(diag.Position{File: path}, err.Error(), "")
		return
	}
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		l.problem(diag.Position{File: path}, err.Error(), "")
		return
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			l.node(path, "", doc.Body)
		}
	}
}

// node takes a node of the settings file whose key is prefix.
func (l *loader) node(path, prefix string, n ast.Node) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			l.entry(path, prefix, v)
		}
	case *ast.MappingValueNode:
		l.entry(path, prefix, n)
	default:
		l.value(path, prefix, n, n)
	}
}

func (l *loader) entry(path, prefix string, v *ast.MappingValueNode) {
	key := strings.Trim(v.Key.String(), `"'`)
	if prefix != "" {
		key = prefix + "." + key
	}
	switch v.Value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		l.node(path, key, v.Value)
	default:
		l.value(path, key, v.Key, v.Value)
	}
}

func (l *loader) value(path, key string, at, n ast.Node) {
	pos := diag.Position{File: path, Line: at.GetToken().Position.Line, Column: at.GetToken().Position.Column}
	for _, s := range Settings {
		if s.Key == key {
			l.set(s, scalar(n), Origin(filepath.Base(path)), pos, key)
			return
		}
	}
	keys := make([]string, len(Settings))
	for i, s := range Settings {
		keys[i] = s.Key
	}
	hint := "`millstream config` lists the settings"
	if c := diag.Closest(key, keys); c != "" {
		hint = fmt.Sprintf("did you mean %s?", c)
	}
	l.problem(pos, fmt.Sprintf("unknown setting %q", key), hint)
}

// scalar gives a value as text; a list's elements are joined by commas.
func scalar(n ast.Node) string {
	switch n := n.(type) {
	case *ast.SequenceNode:
		parts := make([]string, len(n.Values))
		for i, v := range n.Values {
			parts[i] = scalar(v)
		}
		return strings.Join(parts, ",")
	case *ast.StringNode:
		return n.Value
	case *ast.NullNode:
		return ""
	}
	return n.String()
}

func environMap(environ []string) map[string]string {
	out := make(map[string]string, len(environ))
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			out[name] = value
		}
	}
	return out
}

// Codes describes the codes of this package, for `millstream explain CODE`.
var Codes = map[string]string{
	CodeSetting: "A setting on the command line, in the environment, in .env or in millstream.yaml is unknown or has a value that it can't have. `millstream config` lists all settings with their variables.",
}
