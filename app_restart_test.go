package main

import (
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/settingsdb"
)

func TestDrainSurvivesARestart(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	_, s := n.connect(t, vm, nil)
	n.call(t, 404, call{path: "/v3/drain/", body: keys{"on": true, "node": "127.0.0.1"}})
	n.call(t, 200, call{path: "/v3/drain/", body: keys{"on": true, "node": n.addr.String()}})
	s.mustLive(t)
	open := call{path: "/v3/open_connection/", body: keys{"vm_address": "127.0.0.1", "vm_port": vm.Port}, key: testCLIKey}
	for _, restart := range []bool{false, true} {
		if restart {
			n.kill()
			n = n.again(t)
			n.waitReady(t)
		}
		r := n.call(t, 503, open)
		if code, _ := r.refusal(t); code != "DRAINING" || r.header.Get("Retry-After") == "" {
			t.Errorf("restart %t: got %s, want DRAINING with Retry-After", restart, code)
		}
		if h := into[map[string]any](t, n.call(t, 200, call{path: "/v3/health/"})); h["status"] != "draining" {
			t.Errorf("restart %t: got %v, want draining", restart, h["status"])
		}
	}
	n.call(t, 200, call{path: "/v3/drain/", body: keys{"on": false}})
	n.connect(t, vm, nil)
	n.kill()
	n = n.again(t)
	n.waitReady(t)
	n.connect(t, vm, nil)
}

func TestTicketsSurviveARestart(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	ticket := func(user string, uses int) string {
		body := keys{"vm_address": "127.0.0.1", "vm_port": vm.Port, "user": user, "max_uses": uses}
		return into[struct{ Ticket string }](t, n.call(t, 201, call{path: "/v3/tickets/", body: body})).Ticket
	}
	use := func(ticket string, status int) reply {
		return n.call(t, status, call{path: "/v3/open_connection/", body: keys{"ticket": ticket, "mode": "websocket"}, key: testCLIKey})
	}
	once, twice := ticket("alice", 1), ticket("bob", 2)
	use(once, 201)
	use(twice, 201)
	n.kill()
	n = n.again(t)
	n.waitReady(t)
	if code, _ := use(once, 409).refusal(t); code != "GRANT_USED" {
		t.Errorf("got %s for a spent ticket, want GRANT_USED", code)
	}
	use(twice, 201)
	use(twice, 409)
	if code, _ := use("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 403).refusal(t); code != "FORBIDDEN" {
		t.Errorf("got %s for an unknown ticket, want FORBIDDEN", code)
	}
}

func TestKilledWithLiveSessions(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	first, s := n.connect(t, vm, nil)
	n.connect(t, vm, nil)
	n.kill()
	s.mustEnd(t)
	n = n.again(t)
	n.waitReady(t)
	list := into[struct{ Total int }](t, n.call(t, 200, call{path: "/v3/get_connections/"}))
	if list.Total != 0 {
		t.Errorf("got %d connections after a restart, want 0", list.Total)
	}
	if next, _ := n.connect(t, vm, nil); next.Port != first.Port {
		t.Errorf("got port %d, want the lowest again, %d", next.Port, first.Port)
	}
}

func TestAStopEndsSessionsAndIsAudited(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	left, s := n.connect(t, vm, keys{"user": "bob", "vm_id": "desktop-7", "protocol": "vnc"})
	if err := s.echo(strings.Repeat("y", 999)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first session has ended", func() bool {
		list := n.call(t, 200, call{path: "/v3/get_connections/?state=active"})
		return into[struct{ Total int }](t, list).Total == 0
	})
	stays, s := n.connect(t, vm, nil)
	if took := n.stop(t); took > 5*time.Second || n.code != 0 {
		t.Errorf("got code %d after %s, want 0 within 5s", n.code, took)
	}
	s.mustEnd(t)
	row := func(event string, of tunnel, bytes int64, reason string) settingsdb.AuditRow {
		return settingsdb.AuditRow{
			Event: event, ConnectionID: of.ID, Node: n.addr.String(), VMAddress: "127.0.0.1", VMPort: vm.Port,
			Protocol: "tcp", ClientAddr: "127.0.0.1", Port: of.Port, Mode: "port",
			BytesUp: bytes, BytesDown: bytes, Reason: reason,
		}
	}
	bob := func(r settingsdb.AuditRow) settingsdb.AuditRow {
		r.User, r.VMID, r.Protocol = "bob", "desktop-7", "vnc"
		return r
	}
	want := []settingsdb.AuditRow{
		row("close", stays, 1, "shutdown"), row("open", stays, 0, ""),
		bob(row("close", left, 1000, "client_closed")), bob(row("open", left, 0, "")),
	}
	if diff := cmp.Diff(want, n.audit(t)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

// audit reads the audit rows, newest first, and checks what differs each time.
func (n *child) audit(tb testing.TB) []settingsdb.AuditRow {
	tb.Helper()
	store, err := settingsdb.Open(n.db)
	if err != nil {
		tb.Fatal(err)
	}
	defer store.Close()
	rows, err := store.AuditRows(tb.Context(), 1000)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range rows {
		r := &rows[i]
		if age := time.Since(r.At); age < 0 || age > time.Hour || (r.Event == "close") != (r.Duration > 0) {
			tb.Errorf("got an %s %s old that lasted %s", r.Event, age, r.Duration)
		}
		r.At, r.Duration = time.Time{}, 0
	}
	return rows
}

func TestASecondNodeOnTheDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	second := launch(t, n.db, n.addr)
	second.waitExit(t)
	if second.code != 1 || !strings.Contains(second.log.String(), "a node is running on this database") {
		t.Errorf("got code %d and %q, want 1 and why", second.code, second.log)
	}
	n.call(t, 200, call{path: "/v3/health/"})
}

func TestATakenAPIPortIsSaid(t *testing.T) {
	t.Parallel()
	own := loopback(t.Name())
	taken, err := net.Listen("tcp", netip.AddrPortFrom(own, testAPIPort).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	n := launch(t, newDatabase(t, testSettings(t, own, nil)), own)
	n.waitExit(t)
	for _, want := range []string{taken.Addr().String(), "address already in use", "free the port", "settings set"} {
		if !strings.Contains(n.log.String(), want) {
			t.Errorf("got %q, want %q in it", n.log, want)
		}
	}
	if n.code != 1 {
		t.Errorf("got code %d, want 1", n.code)
	}
	// The lock is free again.
	if out, err := exec.CommandContext(t.Context(), "vdi-gateway", "settings", "get", "--db", n.db, "api_port").CombinedOutput(); err != nil {
		t.Errorf("got %v and %s, want the port", err, out)
	}
}
