package main

import (
	"strings"
	"testing"
)

func TestSum(t *testing.T) {
	const (
		passed = `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":1.234}
`
		subtests = `{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/two"}
`
		skipped = `{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: gvnccapture is not installed\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
`
		failed = `{"Action":"output","Package":"q","Test":"TestC","Output":"    c_test.go:9: got 1, want 2\n"}
{"Action":"fail","Package":"q","Test":"TestC"}
{"Action":"output","Package":"q","Test":"TestD","Output":"said by one that passed\n"}
{"Action":"pass","Package":"q","Test":"TestD"}
{"Action":"fail","Package":"q","Elapsed":0.5}
`
		panicked = `{"Action":"output","Package":"q","Test":"TestE","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"q"}
`
		unbuilt = `{"Action":"build-output","ImportPath":"q","Output":"x.go:1: undefined: y\n"}
{"Action":"fail","Package":"q"}
`
	)
	for _, tt := range []struct {
		name   string
		in     string
		well   bool
		says   []string
		silent []string
	}{
		{"all passed", passed + "exit 0\n", true, []string{"ok    p ", "1.23s", "1 passed, 0 failed, 0 skipped\nall tests passed\n"}, nil},
		{"subtests count, their parent does not", subtests + passed + "exit 0\n", true, []string{"2 passed, 0 failed"}, nil},
		{"a skip has its reason", skipped + passed + "exit 0\n", true, []string{"skipped: gvnccapture is not installed (TestB)\n1 passed, 0 failed, 1 skipped\n"}, []string{"=== RUN"}},
		{"a failure is shown, the rest is not", passed + failed + "exit 1\n", false, []string{"c_test.go:9: got 1, want 2\n", "FAIL  q ", "2 passed, 1 failed", "NOT all tests passed; see above: q\n"}, []string{"said by one"}},
		{"a panic is shown", passed + panicked + "exit 1\n", false, []string{"panic: test timed out\n", "NOT all"}, nil},
		{"what does not build is shown", passed + unbuilt + "exit 1\n", false, []string{"x.go:1: undefined: y\n", "NOT all"}, nil},
		{"go test failed and said nothing", passed + "exit 1\n", false, []string{"NOT all"}, nil},
		{"go test was cut off", passed, false, []string{"NOT all"}, nil},
		{"no test ran", "exit 0\n", false, []string{"no test ran\n"}, []string{"all tests passed"}},
		{"what is no event is passed on", "go: downloading x\n" + passed + "exit 0\n", true, []string{"go: downloading x\n"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			s := newSum(&out)
			if err := s.read(strings.NewReader(tt.in)); err != nil {
				t.Fatal(err)
			}
			if got := s.close(); got != tt.well {
				t.Errorf("got %v, want %v", got, tt.well)
			}
			for _, want := range tt.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got %q, want %q in it", out.String(), want)
				}
			}
			for _, not := range tt.silent {
				if strings.Contains(out.String(), not) {
					t.Errorf("got %q, want no %q in it", out.String(), not)
				}
			}
		})
	}
}
