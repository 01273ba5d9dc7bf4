//go:build e2e

package appliance

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the top of the repository.
const root = "../.."

// build builds the package of the tree at top, and returns its path.
func build(t *testing.T, top, version string, env ...string) string {
	t.Helper()
	dist := t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join(top, "packaging/build.sh"), version)
	cmd.Env = append(os.Environ(), append(env, "DIST="+dist, "SOURCE_DATE_EPOCH=1700000000")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("packaging/build.sh: %v\n%s", err, out)
	}
	list, err := filepath.Glob(filepath.Join(dist, "vdi-gateway_"+version+"_*.deb"))
	if err != nil || len(list) != 1 {
		t.Fatalf("got the packages %q and %v, want one", list, err)
	}
	return list[0]
}

// command runs a program and returns what it prints.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s: run tests/install.sh", name)
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestThePackageHoldsWhatItShould(t *testing.T) {
	deb := build(t, root, "0.1.0")
	want := []string{
		"./lib/systemd/system/vdi-gateway.service 0644",
		"./usr/bin/vdi-gateway 0755",
		"./usr/lib/sysctl.d/vdi-gateway.conf 0644",
		"./usr/lib/sysusers.d/vdi-gateway.conf 0644",
		"./usr/lib/tmpfiles.d/vdi-gateway.conf 0644",
		"./usr/share/bash-completion/completions/vdi-gateway 0644",
		"./usr/share/doc/vdi-gateway/THIRD-PARTY-NOTICES.gz 0644",
		"./usr/share/doc/vdi-gateway/changelog.gz 0644",
		"./usr/share/doc/vdi-gateway/copyright 0644",
		"./usr/share/doc/vdi-gateway/examples/grafana.json 0644",
		"./usr/share/man/man8/vdi-gateway.8.gz 0644",
		"./usr/share/zsh/vendor-completions/_vdi-gateway 0644",
	}
	modes := map[string]string{"-rw-r--r--": "0644", "-rwxr-xr-x": "0755"}
	var got []string
	for line := range strings.Lines(command(t, "dpkg-deb", "--contents", deb)) {
		if f := strings.Fields(line); len(f) == 6 && !strings.HasSuffix(f[5], "/") {
			got = append(got, f[5]+" "+modes[f[0]])
			if f[1] != "root/root" {
				t.Errorf("%s belongs to %s, want root", f[5], f[1])
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if out := command(t, "lintian", "--allow-root", "--fail-on=error,warning", deb); strings.TrimSpace(out) != "" {
		t.Errorf("lintian: got %s, want nothing found", out)
	}
}

// The second build is in another folder, and compiles everything anew.
func TestThePackageIsReproducible(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "elsewhere")
	files := command(t, "git", "-C", root, "ls-files", "-z")
	if err := os.MkdirAll(copied, 0o750); err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(files, "\x00"), "\x00") {
		copyTo(t, filepath.Join(root, name), filepath.Join(copied, name))
	}
	first := sum(t, build(t, root, "0.1.0"))
	second := sum(t, build(t, copied, "0.1.0", "GOCACHE="+t.TempDir()))
	if !bytes.Equal(first, second) {
		t.Errorf("got %x and %x, want the same bytes twice", first, second)
	}
	if other := sum(t, build(t, root, "0.1.1")); bytes.Equal(first, other) {
		t.Error("got the same bytes of another version, want this test to be able to fail")
	}
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, info.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
}

func sum(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(text)
	return s[:]
}
