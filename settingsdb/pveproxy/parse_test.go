package pveproxy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []Assignment
	}{
		"nothing":             {"", nil},
		"comments and blanks": {"# a\n\n \t# b \\\n  \nA=1", []Assignment{{5, "A", "1"}}},
		"Proxmox's manual":    {"ALLOW_FROM=\"10.0.0.1-10.0.0.5,192.168.0.0/22\"\nDENY_FROM=\"all\"\nPOLICY=\"allow\"\n", []Assignment{{1, "ALLOW_FROM", "10.0.0.1-10.0.0.5,192.168.0.0/22"}, {2, "DENY_FROM", "all"}, {3, "POLICY", "allow"}}},
		"quotes":              {`A=x` + "\n" + `B="x y"` + "\n" + `C='x "y" $z'` + "\n" + `D="it's"`, []Assignment{{1, "A", "x"}, {2, "B", "x y"}, {3, "C", `x "y" $z`}, {4, "D", "it's"}}},
		"nothing in quotes":   {`A=` + "\n" + `B=""` + "\n" + `C=''`, []Assignment{{1, "A", ""}, {2, "B", ""}, {3, "C", ""}}},
		"pieces":              {`A="x"'y'z\ "a"`, []Assignment{{1, "A", "xyz a"}}},
		"export":              {"export A=1\n\texport\tB='2' C=3", []Assignment{{1, "A", "1"}, {2, "B", "2"}, {2, "C", "3"}}},
		"a key named export":  {"export=1\nexporter=2", []Assignment{{1, "export", "1"}, {2, "exporter", "2"}}},
		"several on a line":   {"A=1 B=2 # C=3", []Assignment{{1, "A", "1"}, {1, "B", "2"}}},
		"a # inside":          {`A=1#2 B="#3" C=#4`, []Assignment{{1, "A", "1#2"}, {1, "B", "#3"}, {1, "C", "#4"}}},
		"backslashes, bare":   {`A=\$\"\'\\\a\;`, []Assignment{{1, "A", `$"'\a;`}}},
		"backslashes, quoted": {`A="\$\"\'\\\a\` + "`" + `"`, []Assignment{{1, "A", `$"\'\\a` + "`"}}},
		"lines that go on":    {"A=1\\\n2\nB=\"3\\\n 4\"\nC\\\n=5 \\\n D=6\nE=7\\\n", []Assignment{{1, "A", "12"}, {3, "B", "3 4"}, {5, "C", "5"}, {7, "D", "6"}, {8, "E", "7"}}},
		"no globs":            {`A=HIGH:!aNULL B=a*b?[c]"{d,e}" C=fe80::1%vmbr0`, []Assignment{{1, "A", "HIGH:!aNULL"}, {1, "B", "a*b?[c]{d,e}"}, {1, "C", "fe80::1%vmbr0"}}},
		"lines of Windows":    {"A=1\r\nB=\"2\"\r\n# c\r\nC='3'\\\r\n4", []Assignment{{1, "A", "1"}, {2, "B", "2"}, {4, "C", "34"}}},
		"UTF-8":               {"# Ö\nA=Ö\\Ö'Ö'\"Ö\"", []Assignment{{2, "A", "ÖÖÖÖ"}}},
		"a comment in Latin 1": {
			"# \xd6\nA=1", []Assignment{{2, "A", "1"}},
		},
		"twice": {"A=1\nA=2", []Assignment{{1, "A", "1"}, {2, "A", "2"}}},
	} {
		got, err := Parse([]byte(tt.text))
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, assignments (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		text string
		line int
		says string
	}{
		{"A=$B", 1, "$ stands for what only a shell knows"},
		{"\n\nA=\"x${B}\"", 3, `write the value itself, or \$ for a dollar sign`},
		{"A=$(date)", 1, "$ stands for"},
		{"A=\"$(date)\"", 1, "$ stands for"},
		{"A=`date`", 1, "` encloses a command"},
		{"A=\"`date`\"", 1, "` encloses a command"},
		{"A=1;B=2", 1, "; belongs to commands"},
		{"A=1&", 1, "& belongs to commands"},
		{"A=1|x", 1, "| belongs to commands"},
		{"A=1>x", 1, "> belongs to commands"},
		{"A=<x", 1, "< belongs to commands"},
		{"A=(1 2)", 1, "( belongs to commands"},
		{"export A={1,2}", 1, "write quotes around a value that holds it"},
		{"A=~/dh.pem", 1, "~ stands for a folder"},
		{"A=x:~root", 1, "~ stands for a folder"},
		{"A=\"x", 1, `the quote " is not closed`},
		{"A=\"x\ny\"", 1, `the quote " is not closed`},
		{"B=1\nA='x\ny'", 2, "the quote ' is not closed"},
		{"A='x\\\ny'", 1, "the quote ' is not closed"},
		{"A=\"x\\", 1, `the quote " is not closed`},
		{`A=x\`, 1, `\ at the end of the file`},
		{"A = 1", 1, `"A" is no assignment: write KEY="value" without blanks around =`},
		{"A= 1", 1, `"1" is no assignment`},
		{"A=10.0.0.1, 10.0.0.2", 1, `"10.0.0.2" is no assignment`},
		{"systemctl restart pveproxy", 1, `"systemctl" is no assignment`},
		{". /etc/default/other", 1, `"." is no assignment`},
		{"if true; then", 1, `"if" is no assignment`},
		{"[ -f x ] && A=1", 1, `"[" is no assignment`},
		{"export A", 1, `"A" is no assignment`},
		{"export", 1, `"export" is no assignment`},
		{"export # x", 1, `write export KEY="value"`},
		{"export -n A=1", 1, `"-n" is no assignment`},
		{"A=1 export B=2", 1, `"export" is no assignment`},
		{"export export B=2", 1, `"export" is no assignment`},
		{"A-B=1", 1, `"A-B=1" is no assignment`},
		{"1A=1", 1, `"1A=1" is no assignment`},
		{"=1", 1, `"=1" is no assignment`},
		{"\ufeffA=1", 1, "is no assignment"},
		{"A=1\n\rB=1", 2, "is no assignment"},
		{"A+=1", 1, "A is added to: write A= with the whole value"},
		{"A[0]=1", 1, "A is a list of a shell"},
		{"A=\"\x01\"", 1, "the value of A must be UTF-8 without control characters"},
		{"A=1\\\n2\xff", 1, "the value of A must be UTF-8"},
		{"A=1\nB=\x00", 2, "a NUL byte"},
	} {
		got, err := Parse([]byte(tt.text))
		var wrong *SyntaxError
		if !errors.As(err, &wrong) || wrong.Line != tt.line || !strings.Contains(wrong.Problem, tt.says) || got != nil {
			t.Errorf("%q: got %v and error %v, want line %d to be told: %s", tt.text, got, err, tt.line, tt.says)
		}
	}
}

func TestEveryWrongLineIsTold(t *testing.T) {
	_, err := Parse([]byte("A=$x\nB=1\nC='\nD=\"1\\\n2\" e\nF=1\n"))
	var lines []string
	for line := range strings.Lines(fmt.Sprint(err)) {
		line, _, _ := strings.Cut(line, ":")
		lines = append(lines, line)
	}
	if diff := cmp.Diff([]string{"line 1", "line 3", "line 5"}, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s\n%v", diff, err)
	}
	_, err = Parse([]byte(strings.Repeat("x\n", 1000)))
	if got := strings.Count(fmt.Sprint(err), "\n") + 1; got != maxErrors {
		t.Errorf("got %d errors, want %d", got, maxErrors)
	}
}

func TestTheSizeOfAFileIsBounded(t *testing.T) {
	file := []byte("A=1\n" + strings.Repeat("#", MaxSize-4))
	if got, err := Parse(file); err != nil || len(got) != 1 {
		t.Errorf("%d bytes: got %v and error %v, want one assignment", len(file), got, err)
	}
	if _, err := Parse(append(file, '#')); err == nil || !strings.Contains(err.Error(), "at most 1048576 bytes") {
		t.Errorf("one byte more: got %v, want an error with the limit", err)
	}
}

// What Parse takes, bash takes with the same outcome.
func TestParseAgreesWithBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skipf("bash is needed to compare with: %v", err)
	}
	path := filepath.Join(t.TempDir(), "file")
	piece := rapid.SampledFrom([]string{
		"\nA=", "\nB=", "\nexport A=", " B=", "\"x y\"", "'z'", "x", "1", "é", " ", "\t", "\n", "\\", "\"", "'", "#", "~", ":",
		"*", "{1,2}", "!", "=", "$", "`", ";", "%", "\\\n", "\\\"", "\\$",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := "A=\nB=" + strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "")
		all, err := Parse([]byte(text))
		if err != nil {
			return
		}
		last := map[string]string{}
		for _, a := range all {
			last[a.Key] = a.Value
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		run := exec.Command(bash, "--norc", "--noprofile", "-c", `. "$0"; printf '%s|%s' "$A" "$B"`, path)
		run.Env = []string{"PATH=/nonexistent", "HOME=/home/of-nobody", "LC_ALL=C.UTF-8"}
		got, err := run.CombinedOutput()
		if want := last["A"] + "|" + last["B"]; err != nil || string(got) != want {
			t.Errorf("%q: bash says %q and error %v, want %q", text, got, err, want)
		}
	})
}

// FuzzParse: nothing panics, lines are within, and what was understood is read again from
// its quoted form.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"ALLOW_FROM=\"10.0.0.1\"\n", "export A='x' # y", "A=\\\nB=\"\\$", "A=$(x)", "A='", "x\x00", "\xff=\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		all, err := Parse(file)
		var wrong *SyntaxError
		if errors.As(err, &wrong) && (wrong.Line < 1 || wrong.Line > strings.Count(string(file), "\n")+1) {
			t.Errorf("%q: got %v, want a line within", file, err)
		}
		for _, a := range all {
			text := a.Key + "='" + strings.ReplaceAll(a.Value, "'", `'\''`) + "'"
			again, err := Parse([]byte(text))
			if err != nil || len(again) != 1 || again[0].Key != a.Key || again[0].Value != a.Value {
				t.Errorf("%q: got %v and error %v from %s, want %v", file, again, err, text, a)
			}
		}
	})
}
