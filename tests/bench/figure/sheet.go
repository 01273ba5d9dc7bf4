package figure

import (
	"fmt"
	"io"
	"strings"
)

// Figure is something that is measured for us and for a peer.
type Figure struct {
	Name string // such as relay.bulk32
	Peer string
	Unit string // without blanks
}

// Sheet holds the figures of one benchmark.
type Sheet struct {
	out   io.Writer
	order []Figure
	rows  map[Figure]*row
	why   string // the figures could not be measured
	void  bool
}

// row has the samples of one figure, one of each per round.
type row struct{ ours, theirs []float64 }

// NewSheet returns a sheet that prints the figures to out, in that order.
func NewSheet(out io.Writer, figures ...Figure) *Sheet {
	s := &Sheet{out: out, order: figures, rows: map[Figure]*row{}}
	for _, f := range figures {
		s.rows[f] = &row{}
	}
	return s
}

// Add enters a round's samples of a figure of the sheet and shows them.
func (s *Sheet) Add(f Figure, ours, theirs float64) {
	r := s.rows[f]
	r.ours, r.theirs = append(r.ours, ours), append(r.theirs, theirs)
	s.Progress("  %s: ours %s, %s %s %s", f.Name, number(ours), f.Peer, number(theirs), f.Unit)
}

// Drop forgets the samples of a figure whose peer did not carry what it should.
func (s *Sheet) Drop(f Figure) { *s.rows[f] = row{} }

// Progress tells who waits what is going on.
func (s *Sheet) Progress(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// Missing notes why figures without samples could not be measured.
func (s *Sheet) Missing(why error) { s.why = strings.ReplaceAll(why.Error(), "\n", " ") }

// Void notes that the check beside the figures failed: none is printed.
func (s *Sheet) Void(why error) {
	s.void = true
	s.Progress("the check failed, there are no figures: %v", why)
}

// Print prints the rows for the table of docs/benchmarks.md, then a RESULT
// line per figure.
func (s *Sheet) Print(setting string) {
	if s.void {
		return
	}
	s.Progress("\n| date, machine | figure | peer | ours | theirs | unit | ratio | spread |\n|---|---|---|---|---|---|---|---|")
	for _, f := range s.order {
		if r := s.rows[f]; len(r.ours) > 0 {
			s.Progress("%s", r.tableRow(setting, f))
		}
	}
	if s.why != "" {
		s.Progress("\nnot measured: %s", s.why)
	}
	s.Progress("")
	for _, f := range s.order {
		s.Progress("%s", s.rows[f].result(f))
	}
}

func (r *row) result(f Figure) string {
	if len(r.ours) == 0 {
		return fmt.Sprintf("RESULT %s %s - - - -", f.Name, f.Peer)
	}
	ours, theirs := Median(r.ours), Median(r.theirs)
	return fmt.Sprintf("RESULT %s %s %s %s %s %s", f.Name, f.Peer, number(ours), number(theirs), f.Unit, ratio(ours, theirs))
}

func (r *row) tableRow(setting string, f Figure) string {
	ours, theirs := Median(r.ours), Median(r.theirs)
	return fmt.Sprintf("| %s | `%s` | %s | %s | %s | %s | %s | %s; %s |", setting, f.Name, f.Peer,
		number(ours), number(theirs), f.Unit, ratio(ours, theirs), spread(r.ours), spread(r.theirs))
}

// ratio is a dash where theirs is nothing.
func ratio(ours, theirs float64) string {
	if theirs == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", ours/theirs)
}

func spread(samples []float64) string {
	least, most := samples[0], samples[0]
	for _, v := range samples {
		least, most = min(least, v), max(most, v)
	}
	return number(least) + " to " + number(most)
}

// number shows about three digits of a figure, all of those before the point.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}
