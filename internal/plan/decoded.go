package plan

import "github.com/millstream-dev/millstream/internal/codec"

// Decoded gives the columns that a decoder reads from a record, without the
// generated ones, and for each its index in Columns. needed says which of
// Columns are to be materialised.
func (t *Topic) Decoded(needed []bool) (columns []codec.Column, index []int) {
	for i, c := range t.Columns {
		if c.Generated != nil {
			continue
		}
		columns = append(columns, codec.Column{
			Name: c.Name, Type: c.Type, NotNull: c.NotNull, Path: c.Path, Epoch: c.Epoch, Needed: needed[i],
		})
		index = append(index, i)
	}
	return columns, index
}
