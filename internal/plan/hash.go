package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	parser "github.com/wasilibs/go-pgquery"

	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// normalised gives a statement's text without comments and formatting.
func normalised(s *sqlfile.Statement) string { return deparsed(s.Node, s.Text) }

// deparsed writes a parse tree as SQL. The few statements that the deparser
// doesn't know stay as they were written.
func deparsed(node *pg_query.Node, written string) string {
	text, err := parser.Deparse(&pg_query.ParseResult{Version: treeVersion(), Stmts: []*pg_query.RawStmt{{Stmt: node}}})
	if err != nil {
		return strings.Join(strings.Fields(written), " ")
	}
	return text
}

// treeVersion is of the PostgreSQL whose grammar the trees follow: the printer
// refuses a tree without it.
var treeVersion = sync.OnceValue(func() int32 {
	tree, err := parser.Parse("")
	if err != nil {
		return 0
	}
	return tree.GetVersion()
})

func hashOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// hash sets the pipeline's hash, of all definitions in file order.
func (b *builder) hash() {
	parts := append([]string{b.schema}, b.hashed...)
	for _, s := range b.pipeline.Statements {
		parts = append(parts, s.Hash)
	}
	b.pipeline.Hash = hashOf(parts...)
}

// findNeeded marks the decoded columns that views read.
func (b *builder) findNeeded() {
	for _, t := range b.pipeline.Topics {
		t.Needed = make([]bool, len(t.Columns)+int(MetaCount))
		t.Needed[t.eventTime()] = true
	}
	for _, v := range b.pipeline.Views {
		for _, branch := range v.Branches {
			needed := branch.needed()
			for _, e := range branch.expressions() {
				markColumns(e, needed)
			}
			branch.spread(needed)
		}
	}
	for _, t := range b.pipeline.Topics {
		for i, c := range t.Columns {
			if t.Needed[i] && c.Generated != nil {
				markColumns(c.Generated, t.Needed)
			}
		}
	}
}

func markColumns(e expr.Expr, needed []bool) {
	expr.Walk(e, func(n expr.Expr) bool {
		if c, ok := n.(*expr.Column); ok {
			needed[c.Index] = true
		}
		return true
	})
}

// expressions are all expressions over the branch's topic.
func (b *Branch) expressions() []expr.Expr {
	var out []expr.Expr
	add := func(list ...expr.Expr) {
		for _, e := range list {
			if e != nil {
				out = append(out, e)
			}
		}
	}
	add(b.Filter, b.WindowTime)
	for _, j := range b.Joins {
		add(j.On, j.Filter)
		add(j.Keys...)
	}
	add(b.Outputs...)
	add(b.Keys...)
	add(b.AggArgs...)
	for _, more := range b.AggMore {
		add(more...)
	}
	add(b.AggFilters...)
	return out
}
