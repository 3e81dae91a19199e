// Package pipeline puts a running pipeline together from its parts: the file,
// Kafka, PostgreSQL, the engine, and the API. Every verb uses it, so that a
// pipeline is the same thing in a demo, in a test and in production.
package pipeline

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// Definition is a pipeline file that was read and planned.
type Definition struct {
	Path     string
	Name     string
	Plan     *plan.Pipeline
	Warnings diag.List
}

// Load reads and plans a pipeline file or folder. name and schema may be
// empty: the file's base name, public.
func Load(path, name, schema string) (*Definition, error) {
	file, problems := sqlfile.Load(path)
	if err := problems.Err(); err != nil {
		// What could be parsed is planned all the same, so that all errors of
		// the file are told at once.
		if file != nil {
			_, more := plan.Build(file, plan.Options{Schema: schema})
			problems = append(problems, more...)
		}
		problems.Sort()
		return nil, problems
	}
	return define(path, file, name, schema, problems)
}

// Parse is Load for a text; path stands in messages and gives the name.
func Parse(path, text, name, schema string) (*Definition, error) {
	file, problems := sqlfile.Parse(path, text)
	if err := problems.Err(); err != nil {
		return nil, problems
	}
	return define(path, file, name, schema, problems)
}

func define(path string, file *sqlfile.File, name, schema string, problems diag.List) (*Definition, error) {
	p, more := plan.Build(file, plan.Options{Schema: schema})
	problems = append(problems, more...)
	if err := problems.Err(); err != nil {
		return nil, problems
	}
	if name == "" {
		name = NameOf(path)
	}
	return &Definition{Path: path, Name: name, Plan: p, Warnings: problems}, nil
}

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9_-]+`)

// NameOf gives a pipeline's name by its file: the base name, or the folder's
// for pipeline.sql, which says nothing.
func NameOf(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	base := strings.TrimSuffix(filepath.Base(abs), ".sql")
	if base == "pipeline" {
		if dir := filepath.Base(filepath.Dir(abs)); dir != "." && dir != string(filepath.Separator) {
			base = dir
		}
	}
	if base = strings.Trim(notInNames.ReplaceAllString(base, "_"), "_"); base == "" {
		base = "pipeline"
	}
	return base
}
