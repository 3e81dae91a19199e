package plan

import "github.com/millstream-dev/millstream/internal/expr"

// AlwaysChanges tells that a row of a grouped view differs from the one before
// it whenever records were added to its group: it shows their number.
func (v *View) AlwaysChanges() bool {
	if v.Mode != Grouped {
		return false
	}
	first := len(v.GroupKeys) // of the aggregates, in the layout of Outputs
	if v.Window != nil {
		first += 2
	}
	for _, o := range v.Outputs {
		if c, ok := o.(*expr.Column); ok && c.Index >= first && v.countsAll(c.Index-first) {
			return true
		}
	}
	return false
}

// countsAll tells whether aggregate i is count(*) of all rows.
func (v *View) countsAll(i int) bool {
	if i >= len(v.Aggs) || v.Aggs[i].Kind != expr.CountStar {
		return false
	}
	for _, b := range v.Branches {
		if b.AggFilters[i] != nil {
			return false
		}
	}
	return true
}
