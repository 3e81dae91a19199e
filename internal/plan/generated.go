package plan

import (
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
)

// bindGenerated binds the expressions of generated columns, once all columns
// are known.
func (r *topicReader) bindGenerated() {
	isGenerated := map[int]bool{}
	for _, g := range r.generated {
		isGenerated[g.index] = true
	}
	for _, g := range r.generated {
		c := &r.topic.Columns[g.index]
		c.Path = nil
		binder := &expr.Binder{
			Position: r.statement.Position, Clause: "a generated column",
			Column: func(parts []string, offset int32) (expr.Expr, error) {
				return r.generatedOperand(c.Name, isGenerated, parts, r.statement.Position(offset))
			},
		}
		e, err := binder.Bind(g.expr)
		if err == nil && !r.scope.bad[g.index] {
			e, err = coerceAt(e, c.Type, g.pos)
		}
		if err != nil {
			r.scope.bad[g.index] = true
			r.reportError(err)
			continue
		}
		c.Generated = e
	}
}

// generatedOperand resolves a column in a generated column's expression.
func (r *topicReader) generatedOperand(of string, isGenerated map[int]bool, parts []string, pos diag.Position) (expr.Expr, error) {
	t, name := r.topic, parts[len(parts)-1]
	if len(parts) > 1 && parts[0] != t.Name {
		return nil, problem(codeColumn, pos, "", "a generated column can name columns of topic %q only", t.Name)
	}
	var names []string
	for i, c := range t.Columns {
		if c.Name != name {
			if !isGenerated[i] {
				names = append(names, c.Name)
			}
			continue
		}
		switch {
		case isGenerated[i]:
			return nil, problem(codeGenerated, pos, "repeat its expression here",
				"generated column %q can't use generated column %q", of, name)
		case r.scope.bad[i]:
			return nil, failed
		}
		return &expr.Column{Index: i, Name: name, T: c.Type}, nil
	}
	for _, m := range MetaColumns {
		if m.Name == name {
			return nil, problem(codeGenerated, pos, "select it in the view",
				"generated column %q can't use metadata column %q: it is computed from the record alone", of, name)
		}
	}
	return nil, problem(codeColumn, pos, suggest(name, names), "no column %q in %q", name, t.Name)
}

// coerceAt is expr.Coerce whose diagnostics have a place.
func coerceAt(e expr.Expr, t column.Type, pos diag.Position) (expr.Expr, error) {
	out, err := expr.Coerce(e, t)
	return out, placed(err, pos)
}

// placed gives diagnostics without a place the one given.
func placed(err error, pos diag.Position) error {
	if err == nil {
		return nil
	}
	var list diag.List
	for _, d := range diag.From(err) {
		copied := *d
		if copied.Pos.Line == 0 {
			copied.Pos = pos
		}
		list = append(list, &copied)
	}
	if list == nil {
		return err
	}
	return list
}
