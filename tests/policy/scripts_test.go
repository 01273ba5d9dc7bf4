package policy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakes are the commands a script finds; the shell's own come from the system.
type fakes map[string]string

const (
	goodGo   = `case "$1" in version) echo "go version go1.26.8 linux/amd64";; env) [ "$2" = CC ] && echo gcc || echo "${CGO_ENABLED:-1}";; esac`
	oldGo    = `echo "go version go1.24.4 linux/amd64"`
	goodGcc  = `cat >/dev/null`
	bareGcc  = `cat >/dev/null; exit 1`
	rootUser = `echo 0`
	someUser = `echo 1000`
)

func TestNeedNamesWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fakes fakes
		env   string
		says  []string // empty: all there, nothing said
	}{
		{"all there", fakes{"go": goodGo, "gcc": goodGcc}, "", nil},
		{"no Go", fakes{"gcc": goodGcc}, "", []string{"export PATH=/usr/local/go/bin:$PATH"}},
		{"Go too old", fakes{"go": oldGo, "gcc": goodGcc}, "", []string{"found 1.24.4", "tar -C /usr/local -xzf"}},
		{"no compiler, as root", fakes{"go": goodGo, "id": rootUser}, "", []string{"gcc was not found", "    apt-get update && apt-get install gcc libc6-dev"}},
		{"no compiler, as a user", fakes{"go": goodGo, "id": someUser}, "", []string{"sudo apt-get install gcc libc6-dev"}},
		{"no headers", fakes{"go": goodGo, "gcc": bareGcc}, "", []string{"headers are missing", "apt-get install gcc libc6-dev"}},
		{"cgo switched off", fakes{"go": goodGo, "gcc": goodGcc}, "CGO_ENABLED=0", []string{"unset CGO_ENABLED"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := script(t, "tests/need.sh", tt.fakes, tt.env)
			if (err == nil) != (tt.says == nil) {
				t.Errorf("got %v and %q, want success only when all is there", err, out)
			}
			for _, want := range tt.says {
				if !strings.Contains(out, want) {
					t.Errorf("got %q, want %q in it", out, want)
				}
			}
		})
	}
}

func TestInstallInstallsOrSays(t *testing.T) {
	const (
		works   = `echo "$@" >>"$LOG"; [ "$3" = update ] || for c in Xtigervnc gvnccapture xtigervncviewer sqlite3 ip nft conntrack curl Xvfb xwininfo xsetroot xclip python3 chromium haproxy keepalived qemu-system-x86_64 tshark openssl sslscan pebble websockify zsh systemd-analyze systemd-nspawn mmdebstrap lintian; do : >"$BIN/$c"; chmod +x "$BIN/$c"; done`
		fails   = `echo "$@" >>"$LOG"; echo "E: no network" >&2; exit 100`
		refused = `exit 1`
	)
	all := fakes{"Xtigervnc": "", "gvnccapture": "", "xtigervncviewer": "", "sqlite3": "", "ip": "", "nft": "", "conntrack": "", "curl": "", "Xvfb": "", "xwininfo": "", "xsetroot": "", "xclip": "", "python3": "", "chromium": "", "haproxy": "", "keepalived": "", "qemu-system-x86_64": "", "tshark": "", "openssl": "", "sslscan": "", "pebble": "", "websockify": "", "zsh": "", "systemd-analyze": "", "systemd-nspawn": "", "mmdebstrap": "", "lintian": ""}
	for _, tt := range []struct {
		name  string
		fakes fakes
		says  string // "" when nothing is said
		asks  string // what apt-get is asked last
	}{
		{"nothing is missing", all, "", ""},
		{"installed as root", fakes{"id": rootUser, "apt-get": works}, "installed\n", "tigervnc-standalone-server"},
		{"apt-get fails", fakes{"id": rootUser, "apt-get": fails}, "are skipped: apt-get install: E: no network\n", "install -y"},
		{"no root, no sudo", fakes{"id": someUser, "sudo": refused, "apt-get": works}, "to have them: sudo apt-get install", ""},
		{"not Debian", fakes{"id": rootUser}, "are skipped: install them with the package manager", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			out, err := script(t, "tests/install.sh", tt.fakes, "LOG="+log)
			if err != nil {
				t.Errorf("got %v, want install.sh never to fail", err)
			}
			if !strings.Contains(out, tt.says) || (tt.says == "" && out != "") {
				t.Errorf("got %q, want %q", out, tt.says)
			}
			asked, _ := os.ReadFile(log)
			if !strings.Contains(string(asked), tt.asks) || (tt.asks == "" && len(asked) > 0) {
				t.Errorf("apt-get was asked %q, want %q", asked, tt.asks)
			}
		})
	}
}

// script runs a script of the repository where only the fakes and a few plain
// commands are found; an assignment in env is added to its environment.
func script(t *testing.T, path string, commands fakes, env string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	for name, body := range commands {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil { //nolint:gosec // a command has to be executable
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sh", "cat", "cut", "sed", "tail", "uname", "mktemp", "rm", "env", "chmod", "id"} {
		if found, err := exec.LookPath(name); err == nil && commands[name] == "" {
			if err := os.Symlink(found, filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", path)
	cmd.Dir = root
	cmd.Env = []string{"PATH=" + bin, "BIN=" + bin, env}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
