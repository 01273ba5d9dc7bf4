package main

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// command runs the program and returns what it printed.
func command(tb testing.TB, args ...string) (string, error) {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "vdi-gateway", args...).CombinedOutput()
	return string(out), err
}

// joining are the arguments by which a machine on own joins g.
func (g *group) joining(db, own, key string) []string {
	return []string{"join", g.nodes[0].addr.String(), "--port", strconv.Itoa(testAPIPort), "--own", own, "--db", db, "--api-key", key}
}

func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 2, nil)
	for _, running := range []bool{false, true} {
		own := loopback(t.Name() + " " + strconv.FormatBool(running))
		db := newDatabase(t, testSettings(t, own, nil))
		var n *child
		start := func() {
			n = launch(t, db, own, "--node", own.String())
			n.waitReady(t)
		}
		if running {
			start()
		}
		if out, err := command(t, g.joining(db, own.String(), testAPIKey)...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !running {
			start()
		}
		g.nodes = append(g.nodes, n)
		g.together(t)
		if got := g.revisions(t); got[0] != got[2] {
			t.Errorf("got revisions %v", got)
		}
		out, err := command(t, "leave", "--db", db, "--node", own.String())
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		g.nodes = g.nodes[:2]
		g.together(t)
		g.hasLeft(t, n, db)
	}
}

// hasLeft checks that a node is alone, and that no key of the cluster opens it.
func (g *group) hasLeft(t *testing.T, n *child, db string) {
	t.Helper()
	s, err := readSettings(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.InternalAddrs, []string{n.addr.String()}) || s.VirtualAddr != "" {
		t.Errorf("got nodes %v and virtual address %q", s.InternalAddrs, s.VirtualAddr)
	}
	for _, former := range []string{testAPIKey, testCLIKey, testClusterKey} {
		if former == s.APIKey.Reveal() || former == s.CLIKey.Reveal() || former == s.ClusterKey.Reveal() {
			t.Errorf("the cluster's key %s is still in use", former)
		}
	}
	n.call(t, 401, call{path: "/v3/health/"})
}

func TestJoinThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 2, nil)
	own := loopback(t.Name())
	db := newDatabase(t, testSettings(t, own, keys{"disp_port": 4999}))
	before, err := readSettings(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"wrong key":          {g.joining(db, own.String(), "wrong-key-0123456789"), "api_key"},
		"the other role":     {g.joining(db, own.String(), testCLIKey), "api_key"},
		"no key":             {g.joining(db, own.String(), ""), "--api-key is needed"},
		"nobody there":       {[]string{"join", own.String(), "--own", own.Next().String(), "--db", db, "--api-key", "x", "--port", "18077"}, "cannot be reached"},
		"itself":             {g.joining(db, g.nodes[0].addr.String(), testAPIKey), "this machine itself"},
		"no address of mine": {g.joining(db, "192.0.2.7", testAPIKey), "on no interface"},
	} {
		out, err := command(t, tt.args...)
		if err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: got %v, %q, want %q", name, err, out, tt.want)
		}
	}
	// The cluster refuses: a change waits to be confirmed there.
	g.nodes[1].change(t, "?confirm_s=60", keys{"disp_port": 4444})
	out, err := command(t, g.joining(db, own.String(), testAPIKey)...)
	if err == nil || !strings.Contains(out, "former settings") {
		t.Errorf("got %v, %q, want a refusal after which the former settings are back", err, out)
	}
	after, err := readSettings(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if changed := strings.Compare(string(before.JSON()), string(after.JSON())); changed != 0 {
		t.Errorf("the settings have changed:\n%s\n%s", before.JSON(), after.JSON())
	}
	if out, err := command(t, "leave", "--db", db, "--node", own.String()); err == nil || !strings.Contains(out, "nothing to leave") {
		t.Errorf("leave of a node alone: got %v, %q", err, out)
	}
}
