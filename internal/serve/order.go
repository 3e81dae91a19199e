package serve

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/millstream-dev/millstream/internal/serve/filter"
)

// orderTerm is one term of an answer's order.
type orderTerm struct {
	expr
	desc       bool
	nullsFirst bool
}

func (t orderTerm) String() string {
	sql := t.sql
	if t.desc {
		sql += " DESC"
	}
	switch {
	case t.nullsFirst && !t.desc:
		sql += " NULLS FIRST"
	case !t.nullsFirst && t.desc:
		sql += " NULLS LAST"
	}
	return sql
}

// orderBy is the ORDER BY clause.
func orderBy(terms []orderTerm) string {
	if len(terms) == 0 {
		return ""
	}
	parts := make([]string, len(terms))
	for i, t := range terms {
		parts[i] = t.String()
	}
	return " ORDER BY " + strings.Join(parts, ", ")
}

// terms gives the order that was asked for, and where only a part of the rows
// is, the key after it: without it two pages could hold the same row. settled
// tells that no two rows are alike in the order.
func (b *builder) terms(st *statement, q *filter.Query) (terms []orderTerm, settled bool, _ *Problem) {
	named := map[string]bool{}
	for _, t := range q.Order {
		e, err := b.term(st, t)
		if err != nil {
			return nil, false, err
		}
		if e.key != "" {
			named[e.key] = true
		}
		terms = append(terms, orderTerm{e, t.Desc, t.Nulls == filter.NullsFirst || t.Nulls == filter.NullsDefault && t.Desc})
	}
	if st.page.limit == nil && st.page.offset == 0 && len(terms) == 0 && q.Cursor == "" || st.aggregated {
		return terms, false, nil
	}
	for _, k := range b.relation.Key {
		if !named[k] {
			e, err := b.resolve(filter.Name{Text: k}, true)
			if err != nil {
				return nil, false, err
			}
			terms = append(terms, orderTerm{expr: e})
		}
	}
	return terms, len(b.relation.Key) > 0, nil
}

// term finds what an answer is ordered by: in one with aggregates, a column
// of the answer by its name, if there is one.
func (b *builder) term(st *statement, t filter.Term) (expr, *Problem) {
	if st.aggregated && t.Column.Path == nil {
		if i := slices.Index(st.columns(), t.Column.Text); i >= 0 {
			return expr{sql: strconv.Itoa(i + 1), name: t.Column.Text}, nil
		}
	}
	return b.resolve(t.Column, !st.aggregated)
}

// cursorState is what a cursor holds: the keys of the last row that was
// given, null for none, and the order that they are keys in.
type cursorState struct {
	Order string    `json:"o"`
	Keys  []*string `json:"k"`
}

// signature tells orders apart.
func (st *statement) signature() string {
	sum := sha256.Sum256([]byte(st.from + orderBy(st.keys)))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// cursor makes the cursor that goes on after the row with these keys.
func (st *statement) cursor(keys [][]byte) string {
	c := cursorState{Order: st.signature()}
	for _, k := range keys {
		if k == nil {
			c.Keys = append(c.Keys, nil)
			continue
		}
		text := string(k)
		c.Keys = append(c.Keys, &text)
	}
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings always can
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// after is the condition that a row comes after the one of a cursor.
func (b *builder) after(st *statement, text string) (string, *Problem) {
	place := filter.Place{Parameter: "cursor"}
	if st.keys == nil {
		return "", problem(http.StatusBadRequest, codeCursor, "%s has no key to go on from", b.relation.Name).at(place).hint("take limit and offset; answers with aggregates have no cursor either")
	}
	var c cursorState
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	for _, k := range c.Keys {
		if k != nil && strings.ContainsRune(*k, 0) {
			c.Keys = nil
		}
	}
	if err != nil || c.Keys == nil {
		return "", problem(http.StatusBadRequest, codeCursor, "this is no cursor").at(place).hint("take it from the Link header of the page before, as it is")
	}
	if c.Order != st.signature() || len(c.Keys) != len(st.keys) {
		return "", problem(http.StatusBadRequest, codeCursor, "the cursor belongs to another table or order").at(place).hint("keep select, filters and order as they were, or begin without a cursor")
	}
	return b.beyond(st.keys, c.Keys, place), nil
}

// beyond is the condition that a row comes after the one with these keys. In
// an order of one direction without nulls that is a comparison of rows, which
// an index answers; otherwise it is spelled out term by term.
func (b *builder) beyond(terms []orderTerm, keys []*string, place filter.Place) string {
	uniform := true
	var left, right []string
	for i, t := range terms {
		uniform = uniform && t.notNull && t.desc == terms[0].desc && keys[i] != nil
		if uniform {
			left, right = append(left, t.sql), append(right, b.bind(*keys[i], t.cast, place))
		}
	}
	if uniform {
		op := " > "
		if terms[0].desc {
			op = " < "
		}
		return "(" + strings.Join(left, ", ") + ")" + op + "(" + strings.Join(right, ", ") + ")"
	}
	var ways, same []string
	for i, t := range terms {
		if sql := b.strictly(t, keys[i], place); sql != "" {
			ways = append(ways, strings.Join(append(slices.Clone(same), sql), " AND "))
		}
		if keys[i] == nil {
			same = append(same, t.sql+" IS NULL")
		} else {
			same = append(same, t.sql+" = "+b.bind(*keys[i], t.cast, place))
		}
	}
	if ways == nil {
		return "false"
	}
	return "((" + strings.Join(ways, ") OR (") + "))"
}

// strictly is the condition that a term comes after a key; "" if none can.
func (b *builder) strictly(t orderTerm, key *string, place filter.Place) string {
	if key == nil {
		if t.nullsFirst {
			return t.sql + " IS NOT NULL"
		}
		return ""
	}
	op := " > "
	if t.desc {
		op = " < "
	}
	sql := t.sql + op + b.bind(*key, t.cast, place)
	if !t.nullsFirst && !t.notNull {
		sql = "(" + sql + " OR " + t.sql + " IS NULL)"
	}
	return sql
}
