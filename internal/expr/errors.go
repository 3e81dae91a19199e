package expr

import (
	"errors"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// The stable codes of what can be wrong with an expression.
const (
	codeUnknownFunction     = "MS2001"
	codeUnknownOperator     = "MS2002"
	codeAmbiguous           = "MS2003"
	codeUnknownType         = "MS2004"
	codeCannotCast          = "MS2005"
	codeTypesDiffer         = "MS2006"
	codeNotBoolean          = "MS2007"
	codeBadLiteral          = "MS2008"
	codeConstantFails       = "MS2009"
	codeVolatile            = "MS2010"
	codeInterval            = "MS2011"
	codeUnsupported         = "MS2012"
	codeUnsupportedType     = "MS2013"
	codeAggregate           = "MS2014"
	codeAggregateForm       = "MS2015"
	codeBadModifier         = "MS2016"
	codeTooDeep             = "MS2017"
	codeConstantRequired    = "MS2018"
	codeUnsupportedOverload = "MS2019"
	codeUnknownZone         = "MS2020"
	codeUnknownUnit         = "MS2021"
)

var codes = map[string]string{
	codeUnknownFunction:     "The function doesn't exist, or not for arguments of these types. Functions are PostgreSQL's; the SQL reference lists those that work. An explicit cast of an argument often helps.",
	codeUnknownOperator:     "The operator doesn't exist, or not for operands of these types. As in PostgreSQL, types of different families are not compared or added without an explicit cast: write x::integer, x::text.",
	codeAmbiguous:           "Several functions or operators fit equally well, because literals without a type fit many types. Give a literal its type: '1'::integer, DATE '2024-01-01'.",
	codeUnknownType:         "No type has this name. Types are boolean, smallint, integer, bigint, real, double precision, numeric(p,s), text, varchar(n), uuid, date, timestamp, timestamptz, interval (not stored), jsonb, bytea, time, inet, cidr, and arrays of these.",
	codeCannotCast:          "PostgreSQL has no cast between the two types, or does it only when it is written out: CAST(x AS type) or x::type.",
	codeTypesDiffer:         "The branches of a CASE, the arguments of COALESCE, GREATEST or LEAST, or the branches of a UNION ALL must have types of one family.",
	codeNotBoolean:          "A condition must be boolean. Unlike some databases, PostgreSQL does not take a number or a text as true or false: write x <> 0.",
	codeBadLiteral:          "A literal isn't valid for the type that it takes here; the message is PostgreSQL's.",
	codeConstantFails:       "A part of the expression that doesn't depend on any row fails, so every row would fail. The message is PostgreSQL's.",
	codeVolatile:            "The function's value depends on the moment or the session, so the same log would not give the same tables. The time a record was written is the metadata column _timestamp; the event time is a column of yours.",
	codeInterval:            "An interval can be computed with, but not stored, and a literal with a field takes whole numbers: INTERVAL '5' MINUTE. For the time between two timestamps store extract(epoch from a - b), which is a number of seconds.",
	codeUnsupported:         "This form of expression is PostgreSQL's, but not supported here. The message names the form that is, where there is one.",
	codeUnsupportedType:     "The type is PostgreSQL's, but not supported here. Types are boolean, smallint, integer, bigint, real, double precision, numeric(p,s), text, varchar(n), uuid, date, timestamp, timestamptz, interval (not stored), jsonb, bytea, time, inet, cidr, and arrays of these.",
	codeAggregate:           "An aggregate function can stand in the SELECT list and in HAVING only, and not inside another aggregate.",
	codeAggregateForm:       "Aggregates work in the form name([DISTINCT] argument) FILTER (WHERE condition), lists with ORDER BY behind the arguments, percentiles and mode with WITHIN GROUP (ORDER BY x). OVER is refused, and some forms are for some aggregates only: the message says how it is written.",
	codeBadModifier:         "A type's modifier must be constant and within limits: numeric(precision from 1 to 1000, scale from -1000 to 1000), varchar(length from 1 to 10485760).",
	codeTooDeep:             "The expression is nested too deeply to be compiled. Split it over several views or columns.",
	codeConstantRequired:    "This argument must be a constant here, since it decides how all rows are computed.",
	codeUnknownZone:         "The time zone isn't in the IANA database. Zones have names such as Europe/Paris, America/New_York and UTC.",
	codeUnknownUnit:         "extract, date_part and date_trunc take units of time: microseconds, milliseconds, second, minute, hour, day, week, month, quarter, year, decade, century, millennium; extract also dow, isodow, doy, isoyear, julian, epoch and, of a timestamptz, timezone, timezone_hour, timezone_minute. A date has only those from day on.",
	codeUnsupportedOverload: "The function exists in PostgreSQL for these types, but not here. The message names the form that works, where there is one.",
}

// Codes describes the stable codes of this package's diagnostics, for
// `millstream explain`.
func Codes() map[string]string {
	out := make(map[string]string, len(codes))
	for k, v := range codes {
		out[k] = v
	}
	return out
}

// problem makes a diagnostic without a place.
func problem(code, message, hint string) *diag.Diagnostic {
	return &diag.Diagnostic{Code: code, Message: message, Hint: hint}
}

// rowProblem makes a diagnostic of an error that a constant ran into.
func rowProblem(code string, err *sqlerr.Error) *diag.Diagnostic {
	return &diag.Diagnostic{Code: code, Message: err.Message, Detail: "SQLSTATE " + err.Code}
}

// at gives a diagnostic without a place the place of offset.
func (b *Binder) at(offset int32, err error) error {
	if err == nil {
		return nil
	}
	var d *diag.Diagnostic
	if errors.As(err, &d) && d.Pos == (diag.Position{}) && b.Position != nil && offset >= 0 {
		placed := *d
		placed.Pos = b.Position(offset)
		return &placed
	}
	return err
}
