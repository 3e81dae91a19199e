package oracle

import (
	"fmt"
	"io"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Tolerances of floating point columns of grouped views, relative to the
// greater of the two values: the order of a sum is free; and of estimates by
// approx_count_distinct, six times their standard error.
const (
	FloatTolerance = 1e-9
	RealTolerance  = 1e-5
	CountTolerance = 0.1
)

// DefaultMaxDifferences is how many differences of one kind a report shows.
const DefaultMaxDifferences = 20

// Options say what to verify.
type Options struct {
	SQL         string // the pipeline file's text
	Pipeline    string // its name
	DatabaseURL string
	// Brokers are the addresses by server; "kafka" is the configured cluster.
	// What the file says of a further server is taken where it is not here.
	Brokers map[string][]string
	// Client gives further options of the consumer by server: TLS, SASL.
	Client func(server string) []kgo.Opt
	// MaxDifferences bounds what is shown of each kind; 0: DefaultMaxDifferences.
	MaxDifferences int
	// Progress gets a line for each step, if not nil.
	Progress func(step string)
}

// Report is what Verify found.
type Report struct {
	Pipeline    string
	Seq         int64 // of the commit that was verified
	Records     int64 // read from Kafka
	Views       []ViewReport
	Differences []Difference // of all kinds, at most MaxDifferences of each
	Total       int64        // differences in all, shown or not
	Unchecked   []string     // what could not be checked, and why
}

// ViewReport is what was compared of one view.
type ViewReport struct {
	View        string
	Rows        int64 // of the view's table that were compared
	Differences int64
}

// Difference is one thing that is not as PostgreSQL has it.
type Difference struct {
	View    string // "" when it concerns a foreign table or the pipeline
	Subject string // the row's key, the record's place, the count's name
	Kind    string // "missing row", "extra row", "columns differ", "not late", …
	Detail  string
}

func (d Difference) String() string {
	s := d.Kind
	if d.View != "" {
		s = d.View + ": " + s
	}
	if d.Subject != "" {
		s += " " + d.Subject
	}
	if d.Detail != "" {
		s += ": " + d.Detail
	}
	return s
}

// Equal tells that nothing differs.
func (r *Report) Equal() bool { return r.Total == 0 }

// Err is nil if nothing differs, otherwise the report as an error.
func (r *Report) Err() error {
	if r.Equal() {
		return nil
	}
	var b strings.Builder
	r.Print(&b)
	return fmt.Errorf("%s", b.String())
}

// Print writes the report for a person, its verdict in the last line.
func (r *Report) Print(w io.Writer) {
	for _, v := range r.Views {
		state := "equal"
		if v.Differences > 0 {
			state = fmt.Sprintf("%d differences", v.Differences)
		}
		fmt.Fprintf(w, "%-30s %8d rows  %s\n", v.View, v.Rows, state)
	}
	for _, d := range r.Differences {
		fmt.Fprintf(w, "  %s\n", d)
	}
	if more := r.Total - int64(len(r.Differences)); more > 0 {
		fmt.Fprintf(w, "  … and %d more\n", more)
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(w, "  not checked: %s\n", u)
	}
	fmt.Fprintln(w, r.Verdict())
}

// Verdict is the report in one line.
func (r *Report) Verdict() string {
	what := fmt.Sprintf("%d records, %d views, commit %d", r.Records, len(r.Views), r.Seq)
	rest := ""
	if n := len(r.Unchecked); n > 0 {
		rest = fmt.Sprintf("; %d ranges not checked", n)
	}
	if r.Equal() {
		return "equal: " + what + rest
	}
	return fmt.Sprintf("%d differences: %s%s", r.Total, what, rest)
}
