// Package sqlerr is the error of one row: what PostgreSQL would say of it.
//
// A row whose decoding or evaluation fails goes to quarantine with the
// SQLSTATE and the message that PostgreSQL gives for the same input, so the
// two must be equal to PostgreSQL's; tests compare them.
package sqlerr

import "fmt"

// SQLSTATE codes that rows can fail with.
const (
	StringDataRightTruncation   = "22001"
	NumericValueOutOfRange      = "22003"
	InvalidDatetimeFormat       = "22007"
	DatetimeFieldOverflow       = "22008"
	SubstringError              = "22011"
	DivisionByZero              = "22012"
	InvalidTimeZoneDisplacement = "22009"
	InvalidEscapeSequence       = "22025"
	CharacterNotInRepertoire    = "22021"
	InvalidParameterValue       = "22023"
	InvalidTextRepresentation   = "22P02"
	UntranslatableCharacter     = "22P05"
	NullValueNotAllowed         = "22004"
	InvalidPowerArgument        = "2201F"
	InvalidLogArgument          = "2201E"
	InvalidWidthBucket          = "2201G"
	ArraySubscriptError         = "2202E"
	ArrayElementError           = "2202E"
	SyntaxError                 = "42601"
	NotNullViolation            = "23502"
	ProgramLimitExceeded        = "54000"
	StatementTooComplex         = "54001"
	FeatureNotSupported         = "0A000"
	InvalidTimeZone             = "22023"
)

// Error is a row's failure: an SQLSTATE and PostgreSQL's primary message.
type Error struct {
	Code    string // SQLSTATE, five characters
	Message string // PostgreSQL's primary message, without "ERROR:"
}

func (e *Error) Error() string { return e.Message + " (SQLSTATE " + e.Code + ")" }

// New formats an Error.
func New(code, format string, args ...any) *Error {
	if len(args) == 0 {
		return &Error{Code: code, Message: format}
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
