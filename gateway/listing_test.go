package gateway

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConnectionsFilter(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	ada := r.granted("127.0.0.5", vm.addr, as("ada"))
	bob := r.granted("127.0.0.6", vm.addr, as("bob"))
	web := r.granted("127.0.0.5", vm.addr, overWebSocket)
	says(t, r.enter(bob), "hello")
	for _, tt := range []struct {
		name   string
		filter Filter
		want   []ConnectionID
	}{
		{"all", Filter{}, []ConnectionID{ada.ID, bob.ID, web.ID}},
		{"granted", Filter{State: StateGranted}, []ConnectionID{ada.ID, web.ID}},
		{"active", Filter{State: StateActive}, []ConnectionID{bob.ID}},
		{"user", Filter{User: "ada"}, []ConnectionID{ada.ID}},
		{"client", Filter{Client: netip.MustParseAddr("::ffff:127.0.0.5")}, []ConnectionID{ada.ID, web.ID}},
		{"VM", Filter{VMAddr: "127.0.0.1"}, []ConnectionID{ada.ID, bob.ID, web.ID}},
		{"VM, mapped", Filter{VMAddr: "::ffff:127.0.0.1", User: "bob"}, []ConnectionID{bob.ID}},
		{"another VM", Filter{VMAddr: "127.0.0.2"}, nil},
		{"nothing fits all", Filter{User: "ada", State: StateActive}, nil},
	} {
		list, total := r.Connections(tt.filter)
		var got []ConnectionID
		for _, c := range list {
			got = append(got, c.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || total != len(tt.want) {
			t.Errorf("%s: total %d, %s", tt.name, total, diff)
		}
	}
}

func TestConnectionsByPages(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	var want, got []ConnectionID
	for i := range 25 {
		want = append(want, r.granted(fmt.Sprintf("127.0.6.%d", 1+i%3), vm.addr).ID)
	}
	f := Filter{Limit: 4}
	for page := 0; page < 10; page++ {
		list, total := r.Connections(f)
		if total != 25 {
			t.Fatalf("got total %d on page %d, want 25", total, page)
		}
		if len(list) == 0 {
			break
		}
		for _, c := range list {
			got = append(got, c.ID)
		}
		last := list[len(list)-1]
		f.After = Place{last.OpenedAt, last.ID}
		if page == 2 { // what goes and comes between pages does not disturb them
			r.granted("127.0.6.9", vm.addr, living(time.Nanosecond))
			if _, _, err := r.Disconnect(t.Context(), Selector{IDs: got[:1]}, ""); err != nil {
				t.Fatal(err)
			}
			again := r.granted("127.0.6.9", vm.addr)
			if err := r.GiveBack(t.Context(), again.ID, again.Token, again.Client); err != nil {
				t.Fatal(err)
			}
			r.granted("127.0.6.8", vm.addr)
		}
	}
	if len(got) < len(want) {
		t.Fatalf("got %d connections, want %d and a later one", len(got), len(want))
	}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Error(diff)
	}
}

func TestOpenAnswers(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("::ffff:127.0.0.5", vm.addr, living(40*time.Second))
	if len(g.ID) != 36 || len(g.Token.Reveal()) != 43 {
		t.Errorf("got id %s and a token of %d characters, want a UUID and 43", g.ID, len(g.Token.Reveal()))
	}
	want := Grant{
		ID: g.ID, Token: g.Token, Addr: r.addr.String(), Port: r.cfg.PortStart, Node: r.addr,
		Client: netip.MustParseAddr("127.0.0.5"), Protocol: "tcp", TTL: 40 * time.Second, ExpiresAt: g.ExpiresAt,
	}
	if diff := cmp.Diff(want, g, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if left := time.Until(g.ExpiresAt); left < 25*time.Second || left > 40*time.Second {
		t.Errorf("got %s left, want about 40s", left)
	}
}

// Asked again means the same client, VM, user and mode; without a user never.
func TestWhenAGrantIsReopened(t *testing.T) {
	r, vm, other := newRig(t), newEcho(t), newEcho(t)
	first := r.granted("127.0.0.5", vm.addr, as("ada"))
	for _, tt := range []struct {
		name string
		got  Grant
		same bool
	}{
		{"the same", r.granted("127.0.0.5", vm.addr, as("ada")), true},
		{"the same, mapped", r.granted("::ffff:127.0.0.5", netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), vm.addr.Port()), as("ada")), true},
		{"another user", r.granted("127.0.0.5", vm.addr, as("bob")), false},
		{"no user", r.granted("127.0.0.5", vm.addr), false},
		{"no user again", r.granted("127.0.0.5", vm.addr), false},
		{"another client", r.granted("127.0.0.6", vm.addr, as("ada")), false},
		{"another port", r.granted("127.0.0.5", other.addr, as("ada")), false},
		{"another mode", r.granted("127.0.0.5", vm.addr, as("ada"), overWebSocket), false},
	} {
		if same := tt.got.ID == first.ID; same != tt.same || tt.got.Reopened != tt.same {
			t.Errorf("%s: got the same connection: %v, want %v", tt.name, same, tt.same)
		}
		if tt.got.Token == first.Token {
			t.Errorf("%s: got the former token again", tt.name)
		}
	}
	_, err := r.Renew(t.Context(), first.ID, first.Token, first.Client)
	refusedWith(t, err, ErrForbidden)
}
