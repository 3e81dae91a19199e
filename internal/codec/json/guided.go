package json

import "github.com/millstream-dev/millstream/internal/codec"

// value reads the value at p for node n and notes its place. Its calls nest only as deep as the columns' paths; what lies below
// is read by skip.
func (d *Decoder) value(b []byte, p int, n *node, depth int) int {
	n.seen, n.start, n.escaped = n.parent.visit, p, false
	if n.children {
		d.visits++
		n.visit = d.visits
	}
	switch c := at(b, p); {
	case c == '"':
		p, n.escaped = d.str(b, p+1)
	case c == '{' && len(n.members) > 0:
		p = d.object(b, p, n, depth)
	case c == '[' && len(n.elements) > 0:
		p = d.elements(b, p, n, depth)
	default:
		p = d.skip(b, p, depth)
	}
	n.end = p
	return p
}

// object reads an object that begins at p, some of whose members columns ask
// for.
func (d *Decoder) object(b []byte, p int, n *node, depth int) int {
	if depth == codec.MaxDepth {
		return d.tooDeep(p)
	}
	p++
	for k := 0; ; {
		if at(b, p) == '}' {
			return p + 1
		}
		var child *node
		if k < len(n.order) && n.order[k].matches(b, p) {
			g := &n.order[k]
			p += len(g.text)
			child = g.child
			k++
		} else if j := n.skipAhead(b, p, k); j >= 0 {
			g := &n.order[j]
			p += len(g.text)
			child = g.child
			k = j + 1
		} else {
			q, found, closed := d.memberKey(b, p, n, k == 0)
			if closed || q < 0 {
				return q
			}
			child = found
			k = n.learn(k, b[p:q], child)
			p = q
		}
		c := at(b, p)
		if c <= ' ' {
			p = space(b, p)
			c = at(b, p)
		}
		switch {
		case child != nil:
			p = d.value(b, p, child, depth+1)
		case c == '"':
			p, _ = d.str(b, p+1)
		default:
			p = d.skip(b, p, depth+1)
		}
		if p < 0 {
			return -1
		}
	}
}

// memberKey reads from behind a value, or behind the opening brace, to the
// next value, and gives the node of its key; or to behind the closing brace.
func (d *Decoder) memberKey(b []byte, p int, n *node, first bool) (q int, child *node, closed bool) {
	p = space(b, p)
	if at(b, p) == '}' {
		return p + 1, nil, true
	}
	if !first {
		if at(b, p) != ',' {
			return d.fail(p), nil, false
		}
		p = space(b, p+1)
	}
	if at(b, p) != '"' {
		return d.fail(p), nil, false
	}
	q, escaped := d.str(b, p+1)
	if q < 0 {
		return -1, nil, false
	}
	name := b[p+1 : q-1]
	if escaped {
		d.name = unescape(d.name[:0], name)
		name = d.name
	}
	return d.colon(b, q), n.members[string(name)], false
}

// elements reads an array that begins at p, some of whose elements columns ask
// for. Where one of them counts from the end, the array is read first to
// learn its length.
func (d *Decoder) elements(b []byte, p int, n *node, depth int) int {
	if depth == codec.MaxDepth {
		return d.tooDeep(p)
	}
	if !n.fromEnd {
		p, _ = d.walk(b, p, n, depth, 0)
		return p
	}
	end, length := d.walk(b, p, nil, depth, 0)
	if end >= 0 {
		d.walk(b, p, n, depth, length)
	}
	return end
}

// walk reads the elements of an array of a known length (0 if n has no
// element that counts from the end, or is nil) and counts them.
func (d *Decoder) walk(b []byte, p int, n *node, depth, length int) (end, count int) {
	p = space(b, p+1)
	if at(b, p) == ']' {
		return p + 1, 0
	}
	for {
		p = d.element(b, p, n, count, length, depth+1)
		if p < 0 {
			return -1, 0
		}
		count++
		p = space(b, p)
		switch at(b, p) {
		case ']':
			return p + 1, count
		case ',':
			p = space(b, p+1)
		default:
			return d.fail(p), 0
		}
	}
}

// element reads element i, which both an index from the start and one from
// the end may mean: then it is read for each.
func (d *Decoder) element(b []byte, p int, n *node, i, length, depth int) int {
	end := p
	found := false
	if n != nil {
		for _, e := range n.elements {
			if e.index == i || e.index < 0 && length > 0 && e.index+length == i {
				found = true
				if end = d.value(b, p, e.node, depth); end < 0 {
					return -1
				}
			}
		}
	}
	if !found {
		return d.skip(b, p, depth)
	}
	return end
}
