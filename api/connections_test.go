package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/gateway"
)

func TestConnectionsPaging(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	var want []string
	for range 7 {
		want = append(want, n.open(target, `"mode":"websocket"`, `"probe":false`).ConnectionID)
	}
	for _, limit := range []int{1, 2, 3, 6, 7, 8} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			var got []string
			path := fmt.Sprintf("/v3/get_connections/?limit=%d", limit)
			for next := ""; ; {
				var page connectionsAnswer
				n.api("GET", path+"&cursor="+url.QueryEscape(next), "").into(200, &page)
				if page.Total != 7 || len(page.Connections) > limit {
					t.Fatalf("got total %d and %d entries, want 7 and %d at most", page.Total, len(page.Connections), limit)
				}
				for _, c := range page.Connections {
					got = append(got, c.ConnectionID)
				}
				if page.Next == nil {
					break
				}
				next = *page.Next
			}
			slices.Sort(got) // those of one instant come in the order of their ids
			all := slices.Sorted(slices.Values(want))
			if diff := cmp.Diff(all, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConnectionsFilters(t *testing.T) {
	n := newNode(t, nil)
	a, b := vm(t), vm(t)
	n.open(a, `"user":"alice"`, `"vm_id":"d-1"`, `"protocol":"spice"`)
	n.open(b, `"user":"bob"`, `"mode":"websocket"`)
	for _, tt := range []struct {
		query string
		total int
	}{
		{"", 2},
		{"?user=alice", 1},
		{"?user=carol", 0},
		{"?vm_address=127.0.0.1", 2},
		{"?vm_address=10.0.0.1", 0},
		{"?client_addr=127.0.0.1", 2},
		{"?client_addr=::ffff:127.0.0.1", 2},
		{"?client_addr=10.0.0.1", 0},
		{"?state=granted", 2},
		{"?state=active", 0},
		{"?scope=node", 2},
		{"?scope=cluster&user=bob", 1},
		{"?user=&state=", 2},
	} {
		t.Run(tt.query, func(t *testing.T) {
			var page connectionsAnswer
			n.api("GET", "/v3/get_connections"+tt.query, "").into(200, &page)
			if page.Total != tt.total || len(page.Connections) != tt.total {
				t.Errorf("got %d of %d, want %d", len(page.Connections), page.Total, tt.total)
			}
		})
	}
}

func TestConnectionsMembers(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	grant := n.open(target, `"user":"alice"`, `"vm_id":"d-1"`, `"protocol":"spice"`)
	var page map[string]any
	n.api("GET", "/v3/get_connections/", "").into(200, &page)
	entry := page["connections"].([]any)[0].(map[string]any)
	if at, err := time.Parse(time.RFC3339, entry["opened_at"].(string)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("got opened_at %v (%v)", entry["opened_at"], err)
	}
	delete(entry, "opened_at")
	want := map[string]any{
		"node": "127.0.0.1", "version": "1.2.3-test", "total": 1.0, "next": nil,
		"connections": []any{map[string]any{
			"connection_id": grant.ConnectionID, "node": "127.0.0.1", "state": "granted", "user": "alice", "vm_id": "d-1",
			"vm_address": "127.0.0.1", "vm_port": float64(target.Port()), "protocol": "spice", "client_addr": "127.0.0.1",
			"port": float64(grant.Port), "mode": "port", "channels": 0.0, "bytes_up": 0.0, "bytes_down": 0.0, "rtt_ms": nil,
			"connected_at": nil, "last_activity_at": nil,
		}},
	}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Error(diff)
	}
}

func TestConnectionsRefusals(t *testing.T) {
	n := newNode(t, nil)
	for query, field := range map[string]string{
		"?state=dead": "state", "?limit=0": "limit", "?limit=10001": "limit", "?limit=many": "limit", "?cursor=x": "cursor",
		"?cursor=AAAA": "cursor", "?client_addr=home": "client_addr", "?scope=world": "scope", "?usr=alice": "usr",
	} {
		got := n.api("GET", "/v3/get_connections/"+query, "")
		got.is(422, "VALIDATION")
		if diff := cmp.Diff([]string{field}, got.fields()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestCursorsAreReadBack(t *testing.T) {
	last := gateway.Connection{ID: "0f8fad5b-d9cb-469f-a165-70867728950e", OpenedAt: time.Now()}
	after, ok := parseCursor(formatCursor(last))
	if !ok || after.ID != last.ID || !after.OpenedAt.Equal(last.OpenedAt) {
		t.Errorf("got %v %t, want the place of %v", after, ok, last)
	}
}

func TestDisconnectSelectors(t *testing.T) {
	n := newNode(t, nil)
	target := vm(t)
	for _, tt := range []struct {
		name  string
		body  func(g grantAnswer) string
		count int
	}{
		{"connection_id", func(g grantAnswer) string { return `{"connection_id":"` + g.ConnectionID + `"}` }, 1},
		{"connection_ids", func(g grantAnswer) string {
			return `{"connection_ids":["` + g.ConnectionID + `"],"reason":"moved","scope":"node"}`
		}, 1},
		{"user", func(grantAnswer) string { return `{"user":"alice"}` }, 1},
		{"vm_address", func(grantAnswer) string { return `{"vm_address":"127.0.0.1"}` }, 1},
		{"client_addr", func(grantAnswer) string { return `{"client_addr":"127.0.0.1"}` }, 1},
		{"all", func(grantAnswer) string { return `{"all":true}` }, 1},
		{"another user", func(grantAnswer) string { return `{"user":"bob"}` }, 0},
		{"an empty list", func(grantAnswer) string { return `{"connection_ids":[]}` }, 0},
		{"false is no second selector", func(grantAnswer) string { return `{"user":"alice","all":false}` }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n.api("POST", "/v3/disconnect/", `{"all":true}`)
			grant := n.open(target, `"user":"alice"`)
			var got disconnectAnswer
			n.api("POST", "/v3/disconnect", tt.body(grant)).into(200, &got)
			want := disconnectAnswer{Disconnected: []string{}, NotFound: []string{}, Count: tt.count}
			if tt.count == 1 {
				want.Disconnected = []string{grant.ConnectionID}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	var got disconnectAnswer
	n.api("POST", "/v3/disconnect/", `{"connection_ids":["nobody","no-one"]}`).into(200, &got)
	if diff := cmp.Diff(disconnectAnswer{Disconnected: []string{}, NotFound: []string{"nobody", "no-one"}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestDisconnectRefusals(t *testing.T) {
	n := newNode(t, nil)
	for body, fields := range map[string][]string{
		`{}`:                              {"selector"},
		`{"all":false}`:                   {"selector"},
		`{"reason":"x"}`:                  {"selector"},
		`{"all":true,"user":"a"}`:         {"selector"},
		`{"user":"a","vm_address":"b"}`:   {"selector"},
		`{"connection_ids":"x"}`:          {"connection_ids"},
		`{"user":""}`:                     {"user"},
		`{"connection_id":""}`:            {"connection_id"},
		`{"client_addr":"home"}`:          {"client_addr"},
		`{"all":true,"scope":"world"}`:    {"scope"},
		`{"all":true,"reason":"a\u0007"}`: {"reason"},
	} {
		got := n.api("POST", "/v3/disconnect/", body)
		got.is(422, "VALIDATION")
		if diff := cmp.Diff(fields, got.fields()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}
