package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// longestLine bounds a line of the input: one line of output of one test.
const longestLine = 8 << 20

// event is what go test says, see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string  // "" for the package as a whole
	Elapsed float64 // seconds
	Output  string
}

// sum counts tests and keeps their output until it is known whether they failed.
type sum struct {
	out     io.Writer
	output  map[[2]string]*strings.Builder // by package and test
	results map[[2]string]string           // pass, fail or skip, by package and test
	failed  []string                       // packages
	exit    string
}

func newSum(out io.Writer) *sum {
	return &sum{out: out, output: map[[2]string]*strings.Builder{}, results: map[[2]string]string{}}
}

// read takes the input to its end. What is not an event is printed as it is.
func (s *sum) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		var e event
		switch {
		case strings.HasPrefix(lines.Text(), "exit "):
			s.exit = lines.Text()
		case json.Unmarshal(lines.Bytes(), &e) != nil:
			fmt.Fprintln(s.out, lines.Text())
		default:
			s.add(e)
		}
	}
	return lines.Err()
}

func (s *sum) add(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "output":
		if s.output[key] == nil {
			s.output[key] = &strings.Builder{}
		}
		s.output[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test != "" {
			s.results[key] = e.Action
			return
		}
		s.endPackage(e)
	}
}

// endPackage prints a package's line, and what it said if it failed.
func (s *sum) endPackage(e event) {
	took := time.Duration(e.Elapsed * float64(time.Second)).Round(10 * time.Millisecond)
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.out, "ok    %-40s %6s\n", e.Package, took)
	case "fail":
		s.failed = append(s.failed, e.Package)
		for _, key := range s.sorted(e.Package) {
			if r := s.results[key]; r != "pass" && r != "skip" {
				fmt.Fprint(s.out, s.output[key])
			}
		}
		fmt.Fprintf(s.out, "FAIL  %-40s %6s\n", e.Package, took)
	}
	for _, key := range s.sorted(e.Package) {
		if s.results[key] != "skip" {
			delete(s.output, key)
		}
	}
}

// sorted are the keys of a package's kept output, by name.
func (s *sum) sorted(pkg string) [][2]string {
	var keys [][2]string
	for key := range s.output {
		if key[0] == pkg {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b [2]string) int { return strings.Compare(a[1], b[1]) })
	return keys
}

// close prints skipped tests and the sum, and reports whether all is well.
func (s *sum) close() bool {
	counts := s.count()
	for _, line := range s.skipped() {
		fmt.Fprintln(s.out, line)
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", counts["pass"], counts["fail"], counts["skip"])
	switch {
	case s.exit != "exit 0" || len(s.failed) > 0 || counts["fail"] > 0:
		fmt.Fprintln(s.out, "NOT all tests passed; see above:", strings.Join(s.failed, " "))
		return false
	case counts["pass"] == 0:
		fmt.Fprintln(s.out, "no test ran")
		return false
	}
	fmt.Fprintln(s.out, "all tests passed")
	return true
}

// count counts results; a test with subtests counts as those.
func (s *sum) count() map[string]int {
	parents := map[[2]string]bool{}
	for key := range s.results {
		if i := strings.LastIndex(key[1], "/"); i >= 0 {
			parents[[2]string{key[0], key[1][:i]}] = true
		}
	}
	counts := map[string]int{}
	for key, result := range s.results {
		if !parents[key] {
			counts[result]++
		}
	}
	return counts
}

// reason is a test's line about itself: where it was written, and what.
var reason = regexp.MustCompile(`(?m)^ +\S+\.go:\d+: (.*)$`)

// skipped says for each reason which tests it kept from running.
func (s *sum) skipped() []string {
	tests := map[string][]string{}
	for key, result := range s.results {
		if result != "skip" {
			continue
		}
		why := "no reason given"
		if b := s.output[key]; b != nil {
			if m := reason.FindStringSubmatch(b.String()); m != nil {
				why = m[1]
			}
		}
		tests[why] = append(tests[why], key[1])
	}
	var lines []string
	for _, why := range slices.Sorted(maps.Keys(tests)) {
		slices.Sort(tests[why])
		lines = append(lines, fmt.Sprintf("skipped: %s (%s)", why, strings.Join(tests[why], ", ")))
	}
	return lines
}
