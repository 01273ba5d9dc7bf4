package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pagesFolder is where the package takes them from.
const pagesFolder = "packaging/pages"

func TestPagesTellWhatTheCommandLineDoes(t *testing.T) {
	want := pages(newParser(t.Context()).Model.Node)
	list, err := os.ReadDir(pagesFolder)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != len(want) {
		t.Errorf("got %d files in %s, want %d", len(list), pagesFolder, len(want))
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(pagesFolder, name)); err != nil || string(got) != text {
			t.Errorf("%s is not what the command line is now (%v): run make generate", name, err)
		}
	}
}

func TestTheManualHidesWhatIsHidden(t *testing.T) {
	text := manual(newParser(t.Context()).Model.Node)
	for _, want := range []string{`.SS "settings get [<key>] [flags]"`, `.B \-\-table`, `.B VDI_GATEWAY_DB`} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %s in the manual", want)
		}
	}
	for _, hidden := range []string{"guard", "pages"} {
		if strings.Contains(text, `.SS "`+hidden) {
			t.Errorf("got %s in the manual, want it left out", hidden)
		}
	}
}

func TestRoffSaysTheSame(t *testing.T) {
	for text, want := range map[string]string{
		"--db": `\-\-db`, ".hidden": `\&.hidden`, `C:\x`: `C:\ex`, "it's": `it\(aqs`, "a\nb": "a b",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	for _, tt := range []struct {
		name  string
		words []string // the last one is being written
		want  string   // among the answers; "": there are none
	}{
		{"a command", []string{"vdi-gateway", "sett"}, "settings"},
		{"a command below", []string{"vdi-gateway", "settings", "ge"}, "get"},
		{"a flag", []string{"vdi-gateway", "release", "--ta"}, "--table"},
		{"a choice", []string{"vdi-gateway", "run", "--log-level", "=", "war"}, "warn"},
		{"a value nobody knows", []string{"vdi-gateway", "run", "--node", ""}, ""},
		{"nothing hidden", []string{"vdi-gateway", "gua"}, ""},
		{"a file", []string{"vdi-gateway", "settings", "set", "pages_te"}, "pages_test.go"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			script := `compopt() { :; }; . "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vdi_gateway; printf '%s\n' "${COMPREPLY[@]}"`
			args := append([]string{"-c", script, "bash", filepath.Join(pagesFolder, "vdi-gateway.bash")}, tt.words...)
			out, err := exec.CommandContext(t.Context(), bash, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got := strings.Fields(string(out))
			if (tt.want == "") != (len(got) == 0) || tt.want != "" && !slices.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestZshReadsItsCompletion(t *testing.T) {
	zsh, err := exec.LookPath("zsh")
	if err != nil {
		t.Skip("needs zsh")
	}
	out, err := exec.CommandContext(t.Context(), zsh, "-n", filepath.Join(pagesFolder, "vdi-gateway.zsh")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("got %v: %s, want it read without a word", err, out)
	}
}
