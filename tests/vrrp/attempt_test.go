package vrrp

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// tries is how often a test is made on a machine that is too busy for it.
	tries = 3
	// busy is how long such a machine lets a process wait that only wants to look at
	// the clock.
	busy = 20 * time.Millisecond
)

// steady makes a test that counts milliseconds. When it fails while the machine was too
// busy to let processes run, nothing is shown: it is made once more.
func steady(t *testing.T, run func(t testing.TB)) {
	t.Helper()
	for n := 1; ; n++ {
		a := &attempt{TB: t}
		a.do(run)
		waited := a.stalls.longest()
		if len(a.complaints) == 0 {
			return
		}
		if n == tries || waited < busy {
			t.Errorf("attempt %d, in which a process waited for %s at most:\n%s", n, waited, strings.Join(a.complaints, "\n"))
			return
		}
		t.Logf("once more, since a process waited for %s:\n%s", waited, strings.Join(a.complaints, "\n"))
	}
}

// attempt is a test whose failure may not count.
type attempt struct {
	testing.TB
	stalls     *stalls
	complaints []string
	cleanups   []func()
}

// ended is the panic of an attempt that cannot go on.
type ended struct{}

func (a *attempt) do(run func(t testing.TB)) {
	defer a.clean()
	a.stalls = watchStalls(a)
	a.until(func() { run(a) })
}

// until runs f to its end, or to that of the attempt.
func (a *attempt) until(f func()) {
	defer func() {
		if p := recover(); p != nil && p != (ended{}) {
			panic(p)
		}
	}()
	f()
}

func (a *attempt) clean() {
	for _, f := range slices.Backward(a.cleanups) {
		a.until(f)
	}
}

// Cleanup runs f when the attempt ends.
func (a *attempt) Cleanup(f func()) { a.cleanups = append(a.cleanups, f) }

// Failed tells whether something is wrong so far.
func (a *attempt) Failed() bool { return len(a.complaints) > 0 }

// Error takes a complaint, and where it comes from.
func (a *attempt) Error(args ...any) {
	a.complaints = append(a.complaints, strings.TrimSuffix(fmt.Sprintln(args...), "\n")+" ("+where()+")")
}

// Errorf is Error with a format.
func (a *attempt) Errorf(format string, args ...any) { a.Error(fmt.Sprintf(format, args...)) }

// Fatal is Error, and the end.
func (a *attempt) Fatal(args ...any) {
	a.Error(args...)
	panic(ended{})
}

// Fatalf is Fatal with a format.
func (a *attempt) Fatalf(format string, args ...any) { a.Fatal(fmt.Sprintf(format, args...)) }

// where are the lines that are being executed, the innermost first.
func where() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var lines []string
	for f, more := frames.Next(); more; f, more = frames.Next() {
		if file := filepath.Base(f.File); strings.HasSuffix(file, "_test.go") && file != "attempt_test.go" {
			lines = append(lines, fmt.Sprintf("%s:%d", file, f.Line))
		}
	}
	return strings.Join(lines, ", ")
}
