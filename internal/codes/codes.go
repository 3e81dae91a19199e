// Package codes is the list of all stable error codes.
package codes

import (
	"maps"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/serve"
	"github.com/millstream-dev/millstream/internal/spark"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// All gives every code with its description.
func All() map[string]string {
	out := map[string]string{}
	for _, m := range []map[string]string{sqlfile.Codes(), expr.Codes(), plan.Codes(), postgres.Codes, config.Codes, serve.Codes, pipetest.Codes, spark.Codes} {
		maps.Copy(out, m)
	}
	return out
}
