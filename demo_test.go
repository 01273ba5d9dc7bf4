package main

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheDemoIsOnLoopbackAlone(t *testing.T) {
	d := &demo{once: true, dir: t.TempDir(), desktop: "127.0.0.1:5900"}
	store, err := d.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	local, err := localAddrs()
	if err != nil {
		t.Fatal(err)
	}
	node, err := ownNode(d.settings, netip.Addr{}, local)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlan(d.settings, node)
	for _, a := range p.api.Listen {
		if !a.Addr().IsLoopback() {
			t.Errorf("the API listens on %s, want a loopback address", a)
		}
	}
	for _, a := range p.gateway.Listen {
		if !a.IsLoopback() {
			t.Errorf("tunnels listen on %s, want a loopback address", a)
		}
	}
	if len(p.api.Listen) == 0 || len(p.gateway.Listen) == 0 || len(p.gateway.Targets.Allow) != 1 || !p.gateway.Targets.RequireTicket {
		t.Errorf("got %+v, want API, tunnels and one target by ticket", p)
	}
}

// What the demo prints works as it stands, and the demo leaves nothing behind.
func TestTheDemosCommandsWork(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	dir, printed := t.TempDir(), &lockedBuffer{}
	cmd := exec.CommandContext(t.Context(), "vdi-gateway", "demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, quickRace)
	cmd.Stdout, cmd.Stderr = printed, printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended when all went well
	eventually(t, "it says how to end it", func() bool { return strings.Contains(printed.String(), "Ctrl-C ends the demo") })

	_, hand, found := strings.Cut(printed.String(), "The same by hand:\n")
	hand, _, ends := strings.Cut(hand, "\n\n")
	if !found || !ends {
		t.Fatalf("got %s, want commands in it", printed)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-e", "-c", hand).CombinedOutput()
	for _, want := range []string{`"user":"alice"`, `"connection_id":`, `"port":`, "check tunnel"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("got %v and %s from %s, want %s in it", err, out, hand, want)
		}
	}
	page := regexp.MustCompile(`http://\S+/swagger/index.html`).FindString(printed.String())
	if out, err := exec.CommandContext(t.Context(), "curl", "-sf", page).Output(); err != nil || !strings.Contains(string(out), "swagger") {
		t.Errorf("got %v and %s at %q, want the Swagger UI", err, out, page)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("got %v after Ctrl-C, want success: %s", err, printed)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "vdi-gateway*")); err != nil || len(left) > 0 {
		t.Errorf("got %q left behind and %v, want nothing", left, err)
	}
}
