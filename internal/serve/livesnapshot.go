package serve

import (
	"bytes"
	"context"
	"strconv"
)

// snapshot sends the rows of all streams as one snapshot shows them.
func (c *liveClient) snapshot(ctx context.Context, why string) error {
	h := c.hub
	leave, err := h.server.gates.snapshots.enter(ctx, callerOf(ctx).client())
	if err != nil {
		return ctx.Err()
	}
	defer leave()
	c.pace = &pace{patience: h.server.config.Limits.WriteTimeout}
	defer func() { c.pace = nil }()
	ctx, cancel := context.WithTimeout(ctx, h.server.config.Limits.AnswerTimeout)
	defer cancel()
	n, err := h.server.open(ctx, "UTC")
	if err != nil {
		return err
	}
	defer n.close()
	end := []byte("event: commit\ndata: {\"commit\":0}\n\n") // before the first commit
	seq, told, err := h.commit(ctx, n, c.tag)
	if err != nil {
		return err
	}
	if told != nil {
		end = told
	}
	var out []byte
	before := c.sent
	if why != first {
		out = appendEvent(out, "reset", []byte(why))
	}
	for i, w := range c.watches {
		if c.several {
			out = appendEvent(out, "stream", strconv.AppendInt(nil, int64(i), 10))
		}
		if out, err = c.rows(ctx, n, w, append(out, "event: snapshot\ndata: ["...)); err != nil {
			if c.sent == before {
				c.broken(err)
			}
			return err // a client drops an event that has no end
		}
	}
	c.pos = seq
	return c.send(append(out, end...))
}

// rows sends a table's rows, a line of data each.
func (c *liveClient) rows(ctx context.Context, n *snapshot, w *watch, out []byte) ([]byte, error) {
	st := w.rows
	if err := n.declare(ctx, st.rows("row_to_json(r.*)::text"), st.args); err != nil {
		return nil, st.locate(err)
	}
	count, sent := firstFetch, 0
	for {
		size := 0
		got, err := n.fetch(ctx, count, false, func(values [][]byte) error {
			if sent++; sent > 1 {
				out = append(out, ',')
			}
			out = append(out, '\n')
			out = bytes.TrimSuffix(appendData(out, values[0]), []byte("\n"))
			size += len(values[0])
			if len(out) < writeBytes {
				return nil
			}
			err := c.send(out)
			out = out[:0]
			return err
		})
		if err != nil {
			return nil, err
		}
		if got < count {
			break
		}
		count = max(1, min(maxFetch, fetchBytes/max(1, size/got)))
	}
	if err := n.each(ctx, "CLOSE "+cursor, nil, nil); err != nil {
		return nil, err
	}
	return append(out, "\ndata: ]\n\n"...), nil
}
