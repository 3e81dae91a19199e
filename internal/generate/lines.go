package generate

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// maxLine is the longest line of a file: a record of such a size is over any
// broker's usual limit by far, and a file without line ends must not fill the
// memory.
const maxLine = 64 << 20

// readBuffer is how much of a file is read at once.
const readBuffer = 256 << 10

// Format is how a file holds records.
type Format string

// The formats.
const (
	NDJSON Format = "ndjson" // one JSON value a line; empty lines are left out
	CSV    Format = "csv"    // a header, then rows: one JSON object each
)

// FormatOf guesses a file's format by its name: CSV for .csv, otherwise
// NDJSON.
func FormatOf(name string) Format {
	if n := len(name); n >= 4 && bytes.EqualFold([]byte(name[n-4:]), []byte(".csv")) {
		return CSV
	}
	return NDJSON
}

// File replays a file. It opens it at the first Next.
type File struct {
	Name   string // for messages
	Format Format
	// Open opens the file, again and again with Loop.
	Open func() (io.ReadCloser, error)
	Loop bool

	lines  lineReader
	file   io.Closer
	passed bool // some record came since the file was opened
}

// lineReader gives the values of a file, and the line that the last began at.
type lineReader interface {
	next() ([]byte, error)
	line() int
}

// Position names the line of the last record.
func (f *File) Position() string {
	if f.lines == nil {
		return f.Name
	}
	return f.Name + ":" + strconv.Itoa(f.lines.line())
}

// Next gives the next line's record.
func (f *File) Next() (Record, error) {
	for {
		if f.lines == nil {
			if err := f.open(); err != nil {
				return Record{}, err
			}
		}
		value, err := f.lines.next()
		if err == nil {
			f.passed = true
			return Record{Value: value, Partition: AnyPartition}, nil
		}
		if !errors.Is(err, io.EOF) {
			return Record{}, fmt.Errorf("%s: %w", f.Position(), err)
		}
		if err := f.Close(); err != nil {
			return Record{}, fmt.Errorf("%s: %w", f.Name, err)
		}
		if !f.Loop || !f.passed {
			f.lines = ended{}
			return Record{}, io.EOF
		}
		f.lines = nil
	}
}

func (f *File) open() error {
	file, err := f.Open()
	if err != nil {
		return err
	}
	f.file, f.passed = file, false
	if f.Format == CSV {
		f.lines, err = newCSV(file)
		if err != nil {
			return errors.Join(fmt.Errorf("%s:1: %w", f.Name, err), f.Close())
		}
		return nil
	}
	f.lines = &ndjson{r: bufio.NewReaderSize(file, readBuffer)}
	return nil
}

// Close closes the file. It may be called twice.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// ended is a file that has been read.
type ended struct{}

func (ended) next() ([]byte, error) { return nil, io.EOF }
func (ended) line() int             { return 0 }

// ndjson reads lines.
type ndjson struct {
	r *bufio.Reader
	n int
}

func (l *ndjson) line() int { return l.n }

func (l *ndjson) next() ([]byte, error) {
	for {
		l.n++
		line, err := l.read()
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
			return nil, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(line)) > 0 {
			return line, nil
		}
	}
}

// read gives one line in memory of its own.
func (l *ndjson) read() ([]byte, error) {
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("this line is longer than %d bytes: is the file NDJSON, one value a line?", maxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// csvLines reads rows as JSON objects.
type csvLines struct {
	r     *csv.Reader
	names [][]byte // as JSON
	at    int      // the line that the last row began at
}

func newCSV(r io.Reader) (*csvLines, error) {
	c := csv.NewReader(bufio.NewReaderSize(r, readBuffer))
	c.ReuseRecord = true
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: CSV begins with a header of column names")
	}
	if err != nil {
		return nil, err
	}
	header = slices.Clone(header)
	header[0] = string(bytes.TrimPrefix([]byte(header[0]), []byte("\ufeff")))
	l := &csvLines{r: c}
	for i, name := range header {
		if name == "" {
			return nil, fmt.Errorf("column %d has no name in the header", i+1)
		}
		if slices.Index(header, name) != i {
			return nil, fmt.Errorf("the header names %q twice", name)
		}
		l.names = append(l.names, appendQuoted(nil, name))
	}
	return l, nil
}

func (l *csvLines) line() int { return l.at }

func (l *csvLines) next() ([]byte, error) {
	row, err := l.r.Read()
	if bad := (*csv.ParseError)(nil); errors.As(err, &bad) {
		l.at = bad.StartLine
		if errors.Is(err, csv.ErrFieldCount) {
			return nil, fmt.Errorf("this row has %d fields, the header %d", len(row), len(l.names))
		}
	}
	if err != nil {
		return nil, err
	}
	l.at, _ = l.r.FieldPos(0)
	out := []byte{'{'}
	for i, text := range row {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, l.names[i]...), ':')
		out = appendCSVValue(out, text)
	}
	return append(out, '}'), nil
}

// appendCSVValue writes a field as JSON: an empty one as null, what is a JSON
// number, true or false as it stands, all else as a string. Nothing is lost
// by it: a text column gets the same characters.
func appendCSVValue(out []byte, text string) []byte {
	switch {
	case text == "":
		return append(out, "null"...)
	case text == "true" || text == "false" || isNumber(text):
		return append(out, text...)
	}
	return appendQuoted(out, text)
}

// isNumber tells what JSON takes as a number: 007 and +1 are none.
func isNumber(s string) bool {
	c := s[0]
	return (c == '-' || c >= '0' && c <= '9') && json.Valid([]byte(s))
}

// appendQuoted writes a JSON string. Bytes that are not UTF-8 stay as they
// are: that they can't be read is the reader's to say.
func appendQuoted(out []byte, text string) []byte {
	out = append(out, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
