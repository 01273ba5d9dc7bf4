package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDisconnectBySelector(t *testing.T) {
	ada := "ada"
	for _, tt := range []struct {
		name string
		by   func(g Grant, vm *machine) Selector
	}{
		{"id", func(g Grant, _ *machine) Selector { return Selector{IDs: []ConnectionID{g.ID}} }},
		{"user", func(Grant, *machine) Selector { return Selector{User: &ada} }},
		{"client", func(g Grant, _ *machine) Selector { return Selector{Client: g.Client} }},
		{"client, as IPv6 writes it", func(Grant, *machine) Selector {
			return Selector{Client: netip.MustParseAddr("::ffff:127.0.0.5")}
		}},
		{"all", func(Grant, *machine) Selector { return Selector{All: true} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, vm := newRig(t), newEcho(t)
			bystander := r.enter(r.granted("127.0.0.6", vm.addr, as("bob")))
			says(t, bystander, "me too")
			g := r.granted("127.0.0.5", vm.addr, as(ada))
			c := r.enter(g)
			says(t, c, "hello")
			s := tt.by(g, vm)
			begin := time.Now()
			ended, missing, err := r.Disconnect(t.Context(), s, "go home")
			if !slices.Contains(ended, g.ID) || len(missing) != 0 || err != nil {
				t.Fatalf("got %v ended, %v missing (%v), want %s", ended, missing, err, g.ID)
			}
			if err := endsWithin(t, c, prompt); !isReset(err) {
				t.Errorf("got %v for the client, want a reset", err)
			}
			if e := r.audit.closed(t, g.ID, ReasonAdmin); e.Detail != "go home" || e.At.Sub(begin) > prompt {
				t.Errorf("got %+v, want the dispatcher's words in time", e)
			}
			shut(t, "127.0.0.5", netip.AddrPortFrom(r.addr, g.Port))
			_, err = r.Renew(t.Context(), g.ID, g.Token, g.Client)
			refusedWith(t, err, ErrNotFound)
			r.attachRefused(g.Token, "127.0.0.5", ErrTokenUnknown)
			if s.All {
				_ = endsWithin(t, bystander, prompt)
				return
			}
			says(t, bystander, "still here")
		})
	}
}

func TestDisconnectByVM(t *testing.T) {
	r, vm := newRig(t, func(c *Config) {
		c.Targets.Allow = append(c.Targets.Allow, Target{Prefix: netip.MustParsePrefix("127.0.0.99/32")})
	}), newEcho(t)
	c := r.enter(r.granted("127.0.0.5", vm.addr))
	says(t, c, "hello")
	other := r.granted("127.0.0.5", netip.MustParseAddrPort("127.0.0.99:5900"))
	address := "::ffff:127.0.0.99"
	if ended, _, err := r.Disconnect(t.Context(), Selector{VMAddr: &address}, ""); err != nil || !slices.Equal(ended, []ConnectionID{other.ID}) {
		t.Errorf("got %v (%v), want %s", ended, err, other.ID)
	}
	says(t, c, "still here")
	address = "127.0.0.1"
	if _, _, err := r.Disconnect(t.Context(), Selector{VMAddr: &address}, ""); err != nil {
		t.Error(err)
	}
	if err := endsWithin(t, c, prompt); !isReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestDisconnectClosesBothLegs(t *testing.T) {
	gone := make(chan error, 1)
	vm := newMachine(t, func(c *net.TCPConn) {
		buf := make([]byte, 64)
		for {
			n, err := c.Read(buf)
			if err != nil {
				gone <- err
				return
			}
			_, _ = c.Write(buf[:n])
		}
	})
	r := newRig(t)
	g := r.granted("127.0.0.5", vm.addr, overWebSocket)
	v := r.attach(g.Token, "127.0.0.5")
	says(t, v, "hello")
	if _, _, err := r.Disconnect(t.Context(), Selector{All: true}, ""); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-gone:
		if !isReset(err) {
			t.Errorf("got %v at the VM, want a reset", err)
		}
	case <-time.After(prompt):
		t.Error("the VM's leg is still open")
	}
	v.told(t, 1011, ReasonAdmin)
}

func TestDisconnectFindsNot(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	ids := []ConnectionID{"nobody", g.ID, g.ID, "nor this"}
	ended, missing, err := r.Disconnect(t.Context(), Selector{IDs: ids}, "")
	if diff := cmp.Diff([]any{[]ConnectionID{g.ID}, []ConnectionID{"nobody", "nor this"}, nil}, []any{ended, missing, err}); diff != "" {
		t.Error("ended and missing:", diff)
	}
	nobody := "nobody"
	if ended, missing, err := r.Disconnect(t.Context(), Selector{User: &nobody}, ""); len(ended)+len(missing) != 0 || err != nil {
		t.Errorf("got %v and %v (%v) for a user without connections, want nothing", ended, missing, err)
	}
	for _, s := range []Selector{{}, {User: &nobody, All: true}, {IDs: ids, Client: netip.MustParseAddr("127.0.0.5")}} {
		_, _, err := r.Disconnect(t.Context(), s, "")
		refusedWith(t, err, ErrInvalid)
	}
}

func TestDisconnectRevokesTickets(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	of := func(user string) Secret { return r.ticket(vm.addr, func(q *TicketRequest) { q.User = user }) }
	ada, bob, user := of("ada"), of("bob"), "ada"
	if _, _, err := r.Disconnect(t.Context(), Selector{User: &user}, ""); err != nil {
		t.Fatal(err)
	}
	_, err := r.redeem(ada, "127.0.0.5")
	refusedWith(t, err, ErrTicketUnknown)
	if _, err := r.redeem(bob, "127.0.0.5"); err != nil {
		t.Errorf("got %v for another user's ticket, want a grant", err)
	}
}

// A dial under way is given up, and its client reset, as quickly.
func TestDisconnectDuringDial(t *testing.T) {
	r, vm := newRig(t), deaf(t)
	g := r.granted("127.0.0.5", vm)
	c := r.enter(g)
	eventually(t, "a channel being set up", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.reg.grants[g.ID].channels) == 1
	})
	if _, _, err := r.Disconnect(t.Context(), Selector{All: true}, ""); err != nil {
		t.Fatal(err)
	}
	if err := endsWithin(t, c, prompt); !isReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
	if got := r.audit.of(g.ID); len(got) != 0 {
		t.Errorf("got events %+v, want none: there was no session", got)
	}
}

func TestDisconnectOf500IsPrompt(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	var open []*net.TCPConn
	for i := range 500 {
		c := r.enter(r.granted(fmt.Sprintf("127.4.%d.%d", i/200, 1+i%200), vm.addr))
		says(t, c, "hello")
		open = append(open, c)
	}
	begin := time.Now()
	if ended, _, err := r.Disconnect(t.Context(), Selector{All: true}, ""); len(ended) != 500 || err != nil {
		t.Fatalf("got %d ended (%v), want 500", len(ended), err)
	}
	for _, c := range open {
		_ = endsWithin(t, c, prompt-time.Since(begin))
	}
	eventually(t, "every session told of", func() bool { return r.audit.count(EventClose) == 500 })
	if took := time.Since(begin); took > prompt {
		t.Errorf("took %s, want at most %s", took, prompt)
	}
}
