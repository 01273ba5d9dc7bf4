// Command summary reads what `go test -json` says from standard input and prints
// it for a person: a line per package as it ends, the output of what failed, at
// the end every skipped test with its reason and one line with the sum.
//
// The last line of the input has to be "exit N", the status of go test, as
// tests/run.sh writes it. The command itself exits 1 if that is not 0, if
// anything failed, or if no test ran at all.
package main

import (
	"fmt"
	"os"
)

func main() {
	s := newSum(os.Stdout)
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	if !s.close() {
		os.Exit(1)
	}
}
