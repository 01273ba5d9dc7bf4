package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPartialChangeKeepsTheRest(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	was, revision := n.settings(t)
	got := n.change(t, "", keys{"disp_port": 4300 + 1, "timeouts": keys{"idle_s": 60}})
	want := changed{
		Applied: true, Revision: revision + 1, Changed: []string{"disp_port", "timeouts"},
		Nodes: map[string]string{n.addr.String(): "ok"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	now, _ := n.settings(t)
	was["disp_port"] = 4301.0
	was["timeouts"] = map[string]any{ // missing members take their defaults
		"grant_s": 30.0, "dial_ms": 3000.0, "idle_s": 60.0, "half_close_s": 30.0,
		"keepalive_s": 30.0, "user_timeout_ms": 45000.0, "session_max_s": 0.0,
	}
	if diff := cmp.Diff(was, now); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestTheWholeDocumentPostedBackChangesNothing(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	document, revision := n.settings(t)
	got := n.change(t, "", document)
	if got.Revision != revision || len(got.Changed) != 0 || !got.Applied {
		t.Errorf("got %+v, want revision %d kept and nothing changed", got, revision)
	}
	document["disp_port"] = 4999
	if got := n.change(t, "", document); got.Revision != revision+1 || !slices.Equal(got.Changed, []string{"disp_port"}) {
		t.Errorf("got %+v, want revision %d with disp_port changed", got, revision+1)
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	for _, tt := range []struct {
		header string
		status int
		code   string
	}{
		{`"2"`, 409, "REVISION_MISMATCH"},
		{`"x"`, 422, "VALIDATION"},
		{`"1"`, 200, ""},
		{`"1"`, 409, "REVISION_MISMATCH"}, // it is 2 now
		{`*`, 200, ""},
	} {
		body := keys{"disp_port": 4400}
		r := n.call(t, tt.status, call{path: "/v3/change_settings", body: body, ifMatch: tt.header})
		if tt.code == "" {
			continue
		}
		if code, _ := r.refusal(t); code != tt.code {
			t.Errorf("If-Match %s: got %s, want %s", tt.header, code, tt.code)
		}
	}
	if _, revision := n.settings(t); revision != 2 {
		t.Errorf("got revision %d, want 2", revision)
	}
}

func TestDryRunTellsWhatWouldEndAndChangesNothing(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	tun, s := n.connect(t, vm, nil)
	was, revision := n.settings(t)
	for _, tt := range []struct {
		name     string
		document keys
		ends     []string
	}{
		{"a target no longer allowed", keys{"targets": keys{"allow": []keys{{"cidr": "10.0.0.0/8"}}}}, []string{tun.ID}},
		{"disabled", keys{"is_enabled": false}, []string{tun.ID}},
		{"another range", keys{"port_range_start": 18300, "port_range_stop": 18310}, []string{}},
	} {
		got := n.change(t, "?dry_run=1", tt.document)
		if diff := cmp.Diff(tt.ends, got.WouldEnd); diff != "" || got.Applied {
			t.Errorf("%s: applied %t, would_end (-want +got):\n%s", tt.name, got.Applied, diff)
		}
		s.mustLive(t)
	}
	if now, r := n.settings(t); r != revision || !cmp.Equal(was, now) {
		t.Errorf("got revision %d and a changed document, want %d and none", r, revision)
	}
}

func TestProblemsAreToldAllAtOnceAndNothingChanges(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	r := n.call(t, 422, call{path: "/v3/change_settings/", body: keys{
		"api_port": 0, "disp_port": "x", "colour": 1, "forwarding": "magic", "timeouts": keys{"idle_s": -1},
	}})
	var fields []string
	for _, e := range into[apiError](t, r).Errors {
		fields = append(fields, e.Field)
	}
	slices.Sort(fields)
	if want := []string{"api_port", "colour", "disp_port", "forwarding", "timeouts.idle_s"}; !slices.Equal(fields, want) {
		t.Errorf("got problems of %q, want of %q", fields, want)
	}
	if _, revision := n.settings(t); revision != 1 {
		t.Errorf("got revision %d, want 1", revision)
	}
}

func TestAPIPortMovesLive(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	_, s := n.connect(t, startVM(t), nil)
	n.change(t, "", keys{"api_port": testMoved}) // the answer arrives all the same
	n.call(t, 200, call{path: "/v3/health/", port: testMoved})
	eventually(t, "the old port is closed", func() bool {
		_, err := n.try(call{path: "/livez"})
		return err != nil
	})
	s.mustLive(t)
	n.call(t, 200, call{path: "/v3/change_settings/", body: keys{"api_port": testAPIPort}, port: testMoved})
	n.call(t, 200, call{path: "/v3/health/"})
}

func TestPortRangeMovesUnderLiveSessions(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	_, s := n.connect(t, vm, nil)
	n.change(t, "", keys{"port_range_start": 18300, "port_range_stop": 18310})
	s.mustLive(t)
	next, fresh := n.connect(t, vm, nil)
	if next.Port != 18300 {
		t.Errorf("got port %d, want the first of the new range, 18300", next.Port)
	}
	fresh.mustLive(t)
	s.mustLive(t)
}

func TestATakenServicePortChangesNothing(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	_, s := n.connect(t, startVM(t), nil)
	taken, err := net.Listen("tcp", netip.AddrPortFrom(n.addr, testService).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	was, revision := n.settings(t)
	r := n.call(t, 424, call{path: "/v3/change_settings/", body: keys{
		"disp_addrs": []string{"127.0.0.1"}, "cli_key": "another-key-of-clients", "api_port": testMoved,
	}})
	code, message := r.refusal(t)
	if code != "NODE_REJECTED" || !strings.Contains(message, n.addr.String()) || !strings.Contains(message, "address already in use") {
		t.Errorf("got %s %q, want NODE_REJECTED with the node and the reason", code, message)
	}
	if now, r := n.settings(t); r != revision || !cmp.Equal(was, now) {
		t.Errorf("got revision %d and %v, want %d and what was", r, now, revision)
	}
	s.mustLive(t)
	n.connect(t, startVM(t), nil) // the old client key holds
	_ = taken.Close()
	if got := n.change(t, "", keys{"disp_addrs": []string{"127.0.0.1"}}); got.Revision <= revision {
		t.Errorf("got revision %d, want one after %d", got.Revision, revision)
	}
}

// A change that one part takes and another refuses ends no session.
func TestARefusedChangeEndsNoSession(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	_, s := n.connect(t, startVM(t), nil)
	taken, err := net.Listen("tcp", netip.AddrPortFrom(n.addr, testMoved).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, document := range []keys{
		{"api_port": testMoved, "is_enabled": false},
		{"api_port": testMoved, "targets": keys{"allow": []keys{}}},
	} {
		r := n.call(t, 424, call{path: "/v3/change_settings/", body: document})
		if _, message := r.refusal(t); !strings.Contains(message, "address already in use") {
			t.Errorf("got %q, want the taken port named", message)
		}
		s.mustLive(t)
	}
}

func TestKeysChangeLive(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	const key = "the-next-key-of-the-dispatcher"
	n.change(t, "", keys{"api_key": key})
	n.call(t, 401, call{path: "/v3/health/"})
	n.call(t, 200, call{path: "/v3/health/", key: key})
	n.call(t, 403, call{path: "/v3/health/", key: testCLIKey})
	n.call(t, 200, call{path: "/v3/change_settings/", body: keys{"cli_key": "the-next-key-of-clients"}, key: key})
	body := keys{"vm_address": "127.0.0.1", "vm_port": 1, "probe": false}
	n.call(t, 401, call{path: "/v3/open_connection/", body: body, key: testCLIKey})
	n.call(t, 201, call{path: "/v3/open_connection/", body: body, key: "the-next-key-of-clients"})
}

func TestDisabledAndEnabledAgain(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	_, s := n.connect(t, vm, nil)
	n.change(t, "", keys{"is_enabled": false})
	s.mustEnd(t)
	open := call{path: "/v3/open_connection/", body: keys{"vm_address": "127.0.0.1", "vm_port": vm.Port}, key: testCLIKey}
	if code, _ := n.call(t, 423, open).refusal(t); code != "DISABLED" {
		t.Errorf("got %s, want DISABLED", code)
	}
	for _, path := range []string{"/v3/health/", "/readyz"} {
		n.call(t, 503, call{path: path})
	}
	n.call(t, 200, call{path: "/livez"})
	n.change(t, "", keys{"is_enabled": true})
	n.call(t, 200, call{path: "/v3/health/"})
	n.connect(t, vm, nil)
}
