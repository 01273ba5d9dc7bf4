package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	ada  = netip.MustParseAddr("203.0.113.7")
	bob  = netip.MustParseAddr("2001:db8::7")
)

// table is a registry with the grants that a test made, by name.
type table struct {
	*registry
	t      *testing.T
	grants map[string]*grant
	tokens map[string]Secret
}

func newTable(t *testing.T) *table {
	return &table{registry: newRegistry(), t: t, grants: map[string]*grant{}, tokens: map[string]Secret{}}
}

// enter adds a grant on a port of 5900..5902 that lives for 30 s from now.
func (tb *table) enter(name string, client netip.Addr, now time.Time, changes ...func(*grant)) (uint16, error) {
	token, hash := newSecret()
	g := &grant{id: ConnectionID(name), client: client, mode: ModePort, token: hash, openedAt: now, ttl: 30 * time.Second, limit: 1}
	for _, change := range changes {
		change(g)
	}
	g.extend(now)
	tb.grants[name], tb.tokens[name] = g, token
	err := tb.add(g, choice{first: 5900, last: 5902}, now)
	return g.port, err
}

func (tb *table) entered(name string, client netip.Addr, want uint16, changes ...func(*grant)) {
	tb.t.Helper()
	if got, err := tb.enter(name, client, noon, changes...); err != nil || got != want {
		tb.t.Errorf("%s: got port %d (%v), want %d", name, got, err, want)
	}
}

// sizes of the registry's maps, to find what is left over.
func (tb *table) sizes() string {
	r := tb.registry
	return fmt.Sprint(len(r.grants), len(r.tokens), len(r.slots), len(r.byKey), len(r.clients), len(r.inUse))
}

const nothing = "0 0 0 0 0 0"

func TestLowestFreePortPerClient(t *testing.T) {
	tb := newTable(t)
	tb.entered("a1", ada, 5900)
	tb.entered("a2", ada, 5901)
	tb.entered("b1", bob, 5900) // the same numbers for another client
	tb.entered("w", ada, 0, func(g *grant) { g.mode = ModeWebSocket })
	tb.entered("a3", ada, 5902)
	if got := tb.freePorts(5900, 5902); got != 0 {
		t.Errorf("got %d free ports, want none", got)
	}
	if _, err := tb.enter("a4", ada, noon); !errors.Is(err, ErrNoFreePort) {
		t.Errorf("got %v for a fourth, want no free port", err)
	}
	if tb.remove(tb.grants["a4"]) {
		t.Error("what never was in was taken out")
	}
	tb.remove(tb.grants["a2"])
	tb.remove(tb.grants["a1"])
	if tb.remove(tb.grants["a1"]) {
		t.Error("a grant was taken out twice")
	}
	if got := tb.freePorts(5900, 5902); got != 1 { // bob has 5900
		t.Errorf("got %d free ports, want 1", got)
	}
	tb.entered("a5", ada, 5900)
	for _, g := range tb.grants {
		tb.remove(g)
	}
	if got := tb.sizes(); got != nothing {
		t.Errorf("got sizes %s after all, want %s", got, nothing)
	}
}

func TestFreePortsOfAnotherRange(t *testing.T) {
	tb := newTable(t)
	tb.entered("a1", ada, 5900)
	for _, tt := range []struct{ first, last, want int }{{5900, 5999, 99}, {5901, 5999, 99}, {6000, 6000, 1}, {1, 65535, 65534}, {65535, 65535, 1}} {
		if got := tb.freePorts(uint16(tt.first), uint16(tt.last)); got != tt.want {
			t.Errorf("%d-%d: got %d free, want %d", tt.first, tt.last, got, tt.want)
		}
	}
	if port, ok := tb.freePort(ada, choice{first: 65535, last: 65535}, noon); !ok || port != 65535 {
		t.Errorf("got %d, %v, want the very last port", port, ok)
	}
}

func TestMovedPortIsAvoidedForAWhile(t *testing.T) {
	tb := newTable(t)
	tb.entered("a1", ada, 5900)
	if err := tb.move(tb.grants["a1"], choice{first: 5900, last: 5902}, noon); err != nil || tb.grants["a1"].port != 5901 {
		t.Fatalf("got port %d (%v), want the next", tb.grants["a1"].port, err)
	}
	tb.entered("b1", bob, 5901) // 5900 is somebody else's for all clients
	if port, err := tb.enter("b2", bob, noon.Add(blockedTime)); err != nil || port != 5900 {
		t.Errorf("got port %d (%v) later, want 5900 tried again", port, err)
	}
	tb.entered("a2", ada, 5902)
	if err := tb.move(tb.grants["a1"], choice{first: 5900, last: 5902}, noon); !errors.Is(err, ErrNoFreePort) {
		t.Errorf("got %v when no other is free, want that said", err)
	}
	for _, g := range tb.grants {
		tb.remove(g)
	}
	if got := tb.sizes(); got != nothing {
		t.Errorf("got sizes %s after all, want %s", got, nothing)
	}
}

func TestRoom(t *testing.T) {
	tb := newTable(t)
	tb.entered("a1", ada, 5900)
	tb.entered("a2", ada, 5901)
	tb.entered("b1", bob, 5900)
	for _, tt := range []struct {
		name   string
		client netip.Addr
		limits Limits
		want   error
	}{
		{"no limits", ada, Limits{}, nil},
		{"room on the node", ada, Limits{Connections: 4}, nil},
		{"node full", bob, Limits{Connections: 3}, ErrOverloaded},
		{"room for the client", bob, Limits{PerClient: 2}, nil},
		{"client full", ada, Limits{PerClient: 2}, ErrRateLimited},
		{"both full, the node is named", ada, Limits{Connections: 3, PerClient: 2}, ErrOverloaded},
	} {
		if err := tb.room(tt.client, netip.Addr{}, tt.limits); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestTokensOfAGrant(t *testing.T) {
	tb := newTable(t)
	tb.entered("a1", ada, 5900)
	old := tb.tokens["a1"]
	find := func(id ConnectionID, token Secret, at time.Duration) error {
		_, err := tb.find(id, token, noon.Add(at))
		return err
	}
	fresh := tb.retoken(tb.grants["a1"])
	for _, tt := range []struct {
		name  string
		id    ConnectionID
		token Secret
		at    time.Duration
		want  error
	}{
		{"the fresh token", "a1", fresh, 0, nil},
		{"the former token", "a1", old, 0, ErrForbidden},
		{"another id", "a2", fresh, 0, ErrNotFound},
		{"the last moment", "a1", fresh, 30*time.Second - 1, nil},
		{"the end", "a1", fresh, 30 * time.Second, ErrExpired},
	} {
		if err := find(tt.id, tt.token, tt.at); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if tb.registry.tokens[old.hash()] != nil || tb.registry.tokens[fresh.hash()] != tb.grants["a1"] {
		t.Error("the fresh token is not the only one")
	}
}

func TestTombstones(t *testing.T) {
	tb := newTable(t)
	tb.entered("a1", ada, 5900)
	end := noon.Add(30 * time.Second)
	if late := tb.overdue(end.Add(-1)); len(late) != 0 {
		t.Fatalf("got %d overdue before their time", len(late))
	}
	late := tb.overdue(end)
	if len(late) != 1 || late[0] != tb.grants["a1"] {
		t.Fatalf("got %d overdue, want the one", len(late))
	}
	tb.expire(late[0], end)
	tb.expire(late[0], end.Add(time.Minute)) // too late to count
	if got := tb.sizes(); got != nothing {
		t.Errorf("got sizes %s, want %s", got, nothing)
	}
	if _, err := tb.find("a1", tb.tokens["a1"], end); !errors.Is(err, ErrExpired) {
		t.Errorf("got %v, want it known as expired", err)
	}
	tb.overdue(end.Add(tombstoneTime))
	if len(tb.expired) != 1 || len(tb.lapsed) != 1 {
		t.Error("a tombstone was forgotten too early")
	}
	tb.overdue(end.Add(tombstoneTime + 1))
	if len(tb.expired)+len(tb.lapsed) != 0 {
		t.Error("a tombstone is remembered for ever")
	}
	if _, err := tb.find("a1", tb.tokens["a1"], end.Add(time.Hour)); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v much later, want it unknown", err)
	}
}

func TestTombstonesAreBounded(t *testing.T) {
	tb := newTable(t)
	for i := range tombstoneMax + 10 {
		_, _ = tb.enter(fmt.Sprint(i), ada, noon, func(g *grant) { g.mode = ModeWebSocket })
		tb.expire(tb.grants[fmt.Sprint(i)], noon)
	}
	if got := len(tb.expired); got != tombstoneMax || len(tb.lapsed) != tombstoneMax {
		t.Errorf("got %d tombstones, want %d", got, tombstoneMax)
	}
}

func TestReopenKeyBelongsToTheNewest(t *testing.T) {
	tb := newTable(t)
	key := reopenKey{client: ada, host: "vm", port: 5900, user: "ada", mode: ModePort}
	keyed := func(g *grant) { g.key = key }
	tb.entered("old", ada, 5900, keyed)
	tb.entered("new", ada, 5901, keyed)
	tb.remove(tb.grants["old"])
	if tb.byKey[key] != tb.grants["new"] {
		t.Error("the older one's end took the newer one's key along")
	}
	tb.entered("nobody", ada, 5900, func(g *grant) { g.key = reopenKey{client: ada, host: "vm"} })
	if len(tb.byKey) != 1 {
		t.Error("a grant without a user can be found by one")
	}
}

func TestSortedByTimeThenID(t *testing.T) {
	tb := newTable(t)
	for i, name := range []string{"c", "a", "b"} {
		_, _ = tb.enter(name, ada, noon.Add(-time.Duration(i/2)*time.Second), func(g *grant) { g.mode = ModeWebSocket })
	}
	var got []ConnectionID
	for _, g := range tb.sorted() {
		got = append(got, g.id)
	}
	if diff := cmp.Diff([]ConnectionID{"b", "a", "c"}, got); diff != "" {
		t.Error(diff)
	}
}
