package json

import (
	"strconv"
	"strings"

	"github.com/millstream-dev/millstream/internal/codec"
)

// node is a place in a document that columns lead through or to. The nodes of
// a decoder make a tree; the last value seen at a node, and whether it
// belongs to the present record, is kept in the node itself.
type node struct {
	parent   *node
	members  map[string]*node
	elements []element
	fromEnd  bool // an element counts from the array's end
	children bool // there are members or elements

	// seen is the parent's visit in which start, end and escaped were set.
	seen uint64
	// visit numbers the last value here. It changes with every repetition, so
	// that what was found inside of an earlier one no longer counts: a key
	// repeated a million times costs no clearing.
	visit      uint64
	start, end int
	escaped    bool

	order []guess // of members; see predict.go
	hint  int     // where this node stands in its parent's order
}

type element struct {
	index int
	node  *node
}

// present tells whether the record whose root visit is under way has a value
// at n.
func (n *node) present() bool {
	for n.parent != nil {
		if n.seen != n.parent.visit {
			return false
		}
		n = n.parent
	}
	return true
}

// place gives the node that path leads to, making what is missing.
func (n *node) place(path []codec.PathStep) *node {
	for _, step := range path {
		n.children = true
		if step.Member {
			n = n.member(step.Name)
		} else {
			n = n.element(step.Index)
		}
	}
	return n
}

func (n *node) member(name string) *node {
	if m := n.members[name]; m != nil {
		return m
	}
	if n.members == nil {
		n.members = map[string]*node{}
	}
	m := &node{parent: n, hint: -1}
	n.members[name] = m
	return m
}

func (n *node) element(index int) *node {
	for _, e := range n.elements {
		if e.index == index {
			return e.node
		}
	}
	e := &node{parent: n, hint: -1}
	n.elements = append(n.elements, element{index, e})
	n.fromEnd = n.fromEnd || index < 0
	return e
}

// pathText writes a path as a person writes it in OPTIONS (path …).
func pathText(path []codec.PathStep) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, step := range path {
		switch {
		case !step.Member:
			b.WriteString("[" + strconv.Itoa(step.Index) + "]")
		case plainName(step.Name):
			b.WriteString("." + step.Name)
		default:
			b.WriteString("." + strconv.Quote(step.Name))
		}
	}
	return b.String()
}

func plainName(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
