// Package line runs the whole line in tests: a broker, a database, and the
// real program between them, on a log that is the same each time.
//
// The program is built once for each test binary. What it leaves behind is
// compared as text (Dump), which tells bit for bit whether two runs came to
// the same tables and ledgers.
package line
