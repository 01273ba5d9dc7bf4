package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vdi-gateway/settingsdb"
)

func TestAnUnconfirmedChangeIsRolledBack(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	_, s := n.connect(t, startVM(t), nil)
	got := n.change(t, "?confirm_s=1", keys{"disp_port": 4444, "api_port": testMoved})
	if got.RollbackAt == nil || got.Revision != 2 {
		t.Fatalf("got %+v, want revision 2 and when it is rolled back", got)
	}
	eventually(t, "revision 3 is there, at the old API port", func() bool {
		r, err := n.try(call{path: "/v3/get_settings/"})
		return err == nil && r.header.Get("ETag") == `"3"`
	})
	document, revision := n.settings(t)
	if revision != 3 || document["disp_port"] != 4200.0 {
		t.Errorf("got revision %d with disp_port %v, want 3 with 4200", revision, document["disp_port"])
	}
	if early := time.Until(*got.RollbackAt); early > 0 {
		t.Errorf("rolled back %s before its time", early)
	}
	s.mustLive(t)
	n.change(t, "", keys{"disp_port": 4445}) // nothing waits any more
	n.kill()
	n.wantHistory(t, "applied", "applied", "rolled_back", "applied")
}

func TestAConfirmedChangeStays(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	confirm := call{path: "/v3/confirm_settings/", body: keys{}}
	n.call(t, 404, confirm)
	got := n.change(t, "?confirm_s=2", keys{"disp_port": 4444})
	n.call(t, 200, confirm)
	n.call(t, 404, confirm)
	eventually(t, "the time to confirm has passed", func() bool { return time.Since(*got.RollbackAt) > 2*tendEvery })
	if document, revision := n.settings(t); revision != 2 || document["disp_port"] != 4444.0 {
		t.Errorf("got revision %d with disp_port %v, want 2 with 4444", revision, document["disp_port"])
	}
	n.kill()
	next := n.again(t)
	if _, revision := next.settings(t); revision != 2 {
		t.Errorf("got revision %d after a restart, want 2", revision)
	}
}

func TestOtherChangesWaitForTheConfirmation(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	n.change(t, "?confirm_s=60", keys{"disp_port": 4444})
	if code, _ := n.call(t, 409, call{path: "/v3/change_settings/", body: keys{"disp_port": 4445}}).refusal(t); code != "CHANGE_IN_PROGRESS" {
		t.Errorf("got %s, want CHANGE_IN_PROGRESS", code)
	}
	n.change(t, "?dry_run=1", keys{"disp_port": 4445})
	n.call(t, 200, call{path: "/v3/confirm_settings/", body: keys{}})
	n.change(t, "", keys{"disp_port": 4445})
}

func TestTheConfirmationMayComeAfterARestart(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	n.change(t, "?confirm_s=600", keys{"disp_port": 4444})
	n.kill()
	n = n.again(t)
	n.call(t, 409, call{path: "/v3/change_settings/", body: keys{"disp_port": 4445}})
	n.call(t, 200, call{path: "/v3/confirm_settings/", body: keys{}})
	n.change(t, "", keys{"disp_port": 4445})
	n.kill()
	n.wantHistory(t, "applied", "applied", "applied")
}

func TestARestartDoesNotConfirm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		down time.Duration // between kill and start
	}{
		{"the time ends while the node is down", 1100 * time.Millisecond},
		{"the time ends after the restart", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, nil)
			got := n.change(t, "?confirm_s=1", keys{"disp_port": 4444, "is_enabled": false})
			n.kill()
			eventually(t, "the node was down long enough", func() bool {
				return time.Since(got.RollbackAt.Add(-time.Second)) >= tt.down
			})
			next := launch(t, n.db, n.addr)
			next.waitReady(t) // enabled again
			eventually(t, "revision 3 is there", func() bool {
				_, revision := next.settings(t)
				return revision == 3
			})
			document, revision := next.settings(t)
			if revision != 3 || document["disp_port"] != 4200.0 {
				t.Errorf("got revision %d with disp_port %v, want 3 with 4200", revision, document["disp_port"])
			}
			next.kill()
			next.wantHistory(t, "applied", "rolled_back", "applied")
		})
	}
}

// A rollback that cannot be applied is tried again, and does not push the
// history out meanwhile.
func TestARollbackWaitsForItsPort(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	n.change(t, "?confirm_s=1", keys{"api_port": testMoved})
	old := netip.AddrPortFrom(n.addr, testAPIPort).String()
	taken, err := net.Listen("tcp", old)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	eventually(t, "the rollback has failed twice", func() bool {
		return strings.Count(n.log.String(), "settings cannot be rolled back") > 1
	})
	n.call(t, 200, call{path: "/v3/health/", port: testMoved})
	_ = taken.Close()
	n.waitReady(t)
	eventually(t, "revision 3 is there", func() bool { // applied first, then marked
		_, revision := n.settings(t)
		return revision == 3
	})
	n.kill()
	n.wantHistory(t, "applied", "rolled_back", "applied")
}

// wantHistory compares the states of the revisions, newest first.
func (n *child) wantHistory(tb testing.TB, states ...string) {
	tb.Helper()
	store, err := settingsdb.Open(n.db)
	if err != nil {
		tb.Fatal(err)
	}
	defer store.Close()
	list, err := store.History(tb.Context(), 100)
	if err != nil {
		tb.Fatal(err)
	}
	var got []string
	for _, r := range list {
		got = append(got, r.State)
	}
	if strings.Join(got, " ") != strings.Join(states, " ") {
		tb.Errorf("history: got %q, want %q", got, states)
	}
}
