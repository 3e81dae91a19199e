package plan

import (
	"slices"

	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

// Zones gives the time zones that a pipeline uses, in windows and in
// expressions, sorted; UTC is never among them, since all agree on it. A store
// compares them with PostgreSQL's (window.Transitions).
func Zones(p *Pipeline) []string {
	found := map[string]bool{}
	for _, t := range p.Topics {
		for _, c := range t.Columns {
			addZones(c.Generated, found)
		}
	}
	for _, v := range p.Views {
		if v.Window != nil {
			if c, ok := v.Window.Assigner.(*window.Calendar); ok && c.Zone() != nil {
				found[c.Zone().Name()] = true
			}
		}
		addZones(v.Having, found)
		for _, e := range v.Outputs {
			addZones(e, found)
		}
		for _, b := range v.Branches {
			for _, e := range b.expressions() {
				addZones(e, found)
			}
		}
	}
	var zones []string
	for z := range found {
		if z != "UTC" {
			zones = append(zones, z)
		}
	}
	slices.Sort(zones)
	return zones
}

// addZones finds the constant zones of AT TIME ZONE and date_trunc.
func addZones(e expr.Expr, found map[string]bool) {
	if e == nil {
		return
	}
	expr.Walk(e, func(n expr.Expr) bool {
		c, ok := n.(*expr.Call)
		if !ok {
			return true
		}
		at := -1
		switch {
		case c.Function.Name == "timezone" && len(c.Args) == 2:
			at = 0
		case c.Function.Name == "date_trunc" && len(c.Args) == 3:
			at = 2
		}
		if at < 0 {
			return true
		}
		if k, ok := c.Args[at].(*expr.Const); ok && k.T.Kind.IsString() && !k.Value.Null[0] {
			name := string(k.Value.Bytes(0))
			if z, err := window.LoadZone(name); err == nil {
				found[z.Name()] = true
			}
		}
		return true
	})
}
