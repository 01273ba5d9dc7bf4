package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
)

func TestGrantsAreServedAtEveryNode(t *testing.T) {
	f, vm := newFleet(t, 3), newEcho(t)
	a := f.node(0)
	g := a.granted("127.0.0.5", vm.addr, channels(8))
	for i := range f.addrs {
		f.served(i, g)
	}
	now, _ := a.the(g.ID)
	if now.Channels != 3 || now.Client != netip.MustParseAddr("127.0.0.5") {
		t.Errorf("got %+v, want three channels of the client", now)
	}
	for i, want := range []int{0, 1, 1} {
		if got := f.node(i).Stats(); got.Forwarded != want || got.Others != min(i, 1) {
			t.Errorf("node %d: got %+v, want %d connections passed on", i, got, want)
		}
	}
	for i := range f.addrs {
		turnedAway(t, "127.0.0.6", netip.AddrPortFrom(f.addrs[i], g.Port))
	}
	if err := a.GiveBack(t.Context(), g.ID, g.Token, g.Client); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody serves it any more", func() bool {
		for i := range f.addrs {
			if c, err := f.at(i, g); err == nil {
				c.Close()
				return false
			}
		}
		return f.node(1).Stats().Forwarded == 0
	})
	if n := vm.accepted.Load(); n != 3 {
		t.Errorf("the VM saw %d connections, want 3", n)
	}
}

// A client that connects the instant it has its answer is refused nowhere.
func TestOpenThenConnectAtAnyNode(t *testing.T) {
	f, vm := newFleet(t, 3), newEcho(t)
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for i := range 75 {
				g, err := f.node(i%3).ask(fmt.Sprintf("127.0.1.%d", c+1), vm.addr)
				if err != nil {
					t.Error(err)
					return
				}
				conn, err := f.at((i+1+c)%3, g)
				if err != nil {
					t.Errorf("client %d, time %d, port %d: %v", c, i, g.Port, err)
					return
				}
				says(t, conn, "x")
				conn.Close()
				if err := f.node(i%3).GiveBack(t.Context(), g.ID, g.Token, g.Client); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
}

func TestNodesPreferPortsOfTheirOwn(t *testing.T) {
	f, vm := newFleet(t, 3), newEcho(t)
	for i := range f.addrs {
		for k := range 2 {
			g := f.node(i).granted("127.0.0.5", vm.addr)
			if want := uint16(21000 + i + 3*k); g.Port != want {
				t.Errorf("node %d: got port %d, want %d", i, g.Port, want)
			}
		}
	}
}

func TestADeadOwnersGrantIsServed(t *testing.T) {
	f, vm := newFleet(t, 3), newEcho(t)
	port := f.node(0).granted("127.0.0.5", vm.addr, channels(8))
	web := f.node(0).granted("127.0.0.5", vm.addr, overWebSocket)
	f.stop(0)
	f.served(2, port)
	f.served(1, port)
	heir := f.owner(port.ID)
	if _, err := f.node(heir).Renew(t.Context(), port.ID, port.Token, port.Client); err != nil {
		t.Errorf("renewed at the heir: %v", err)
	}
	// Its token works where Elsewhere says, and once.
	at := f.node(1)
	if node := at.Elsewhere("", web.Token); node.IsValid() {
		at = f.nodes[node]
	}
	at.attach(web.Token, "127.0.0.9")
	at.attachRefused(web.Token, "127.0.0.9", ErrUsed)
	// The former owner comes back, and has none of it.
	f.start(0)
	f.served(0, port)
	if got := f.owner(port.ID); got != heir {
		t.Errorf("node %d has the grant, want the heir %d", got, heir)
	}
}

func TestARestartedNodeHasItsGrantsAgain(t *testing.T) {
	f, vm := newFleet(t, 2), newEcho(t)
	g := f.node(0).granted("127.0.0.5", vm.addr)
	f.stop(0)
	f.start(0)
	if got := f.owner(g.ID); got != 0 {
		t.Fatalf("node %d has the grant", got)
	}
	f.served(0, g)
	if _, err := f.node(0).Renew(t.Context(), g.ID, g.Token, g.Client); err != nil {
		t.Error(err)
	}
}

// Two halves give one client the same port: the older grant keeps it, the sessions
// of the other stay, and its renewal names a new one.
func TestAContestedPort(t *testing.T) {
	f, vm, other := newFleet(t, 2), newEcho(t), newEcho(t)
	f.divide(1)
	older := f.node(0).granted("127.0.0.5", vm.addr)
	f.node(1).leave(older.Port)
	younger := f.node(1).granted("127.0.0.5", other.addr)
	if younger.Port != older.Port {
		t.Fatalf("got port %d, want %d", younger.Port, older.Port)
	}
	clear(f.node(1).reg.blocked)
	session := f.served(1, younger)
	f.divide(-1)
	says(t, session, "still")
	for i := range f.addrs {
		before := vm.accepted.Load()
		f.served(i, older)
		eventually(t, "the older one's VM is reached", func() bool { return vm.accepted.Load() > before })
	}
	lease, err := f.node(1).Renew(t.Context(), younger.ID, younger.Token, younger.Client)
	if err != nil || lease.Port == older.Port {
		t.Fatalf("got port %d, %v, want another than %d", lease.Port, err, older.Port)
	}
	younger.Port = lease.Port
	session.Close()
	eventually(t, "its channel is free", func() bool { c, _ := f.node(1).the(younger.ID); return c.Channels == 0 })
	f.served(0, younger)
}

// A node that knows an older grant on the port keeps a younger one from it.
func TestAPortThatOthersHold(t *testing.T) {
	f, vm := newFleet(t, 2), newEcho(t)
	hidden := f.node(1).granted("127.0.0.5", vm.addr) // of which node 0 is not told
	a := f.node(0)
	a.Unlearn(hidden.ID)
	a.leave(hidden.Port, hidden.Port+7)
	g := a.granted("127.0.0.5", vm.addr)
	if g.Port != hidden.Port+7 {
		t.Errorf("got port %d, want %d: the other is taken elsewhere", g.Port, hidden.Port+7)
	}
	f.served(1, g)
	if _, err := a.ask("127.0.0.5", vm.addr); !errors.Is(err, ErrNoFreePort) {
		t.Errorf("got %v, want ErrNoFreePort", err)
	}
	if list, _ := a.Connections(Filter{}); len(list) != 1 {
		t.Errorf("got %d grants, want the refused one gone", len(list))
	}
}

func TestAskedAgainAtAnotherNode(t *testing.T) {
	f, vm := newFleet(t, 3), newEcho(t)
	g := f.node(0).granted("127.0.0.5", vm.addr, as("ada"))
	again := f.node(1).granted("127.0.0.5", vm.addr, as("ada"))
	if again.ID != g.ID || again.Port != g.Port || !again.Reopened || again.Token == g.Token || again.Node != f.addrs[0] {
		t.Errorf("got %+v, want the former grant %+v with a fresh token", again, g)
	}
	other := f.node(1).granted("127.0.0.6", vm.addr, as("ada"))
	if other.ID == g.ID {
		t.Error("another client got the grant")
	}
	f.stop(0)
	after := f.node(2).granted("127.0.0.5", vm.addr, as("ada"))
	if after.ID != g.ID || !after.Reopened {
		t.Errorf("after the owner's death: got %+v, want the former grant", after)
	}
	f.served(1, after)
}

func TestDisabledNodesAreShutForOthers(t *testing.T) {
	f, vm := newFleet(t, 2), newEcho(t)
	g := f.node(0).granted("127.0.0.5", vm.addr, channels(8))
	passed := f.served(1, g)
	if err := f.node(1).change(func(c *Config) { c.Enabled = false }); err != nil {
		t.Fatal(err)
	}
	_ = endsWithin(t, passed, prompt)
	turnedAway(t, "127.0.0.5", netip.AddrPortFrom(f.addrs[1], g.Port))
	f.served(0, g)
	if err := f.node(1).change(func(c *Config) { c.Enabled = true }); err != nil {
		t.Fatal(err)
	}
	f.served(1, g)
}

// A node whose knowledge is old passes a client on, and the next one once more;
// then it has gone round enough.
func TestHopsEnd(t *testing.T) {
	f, vm := newFleet(t, 3), newEcho(t)
	g := f.node(0).granted("127.0.0.5", vm.addr, channels(8))
	mistake := func(i, owner int) {
		r := f.node(i)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reg.others[g.ID].node = f.addrs[owner]
	}
	mistake(1, 2)
	f.served(1, g) // 1 -> 2 -> 0
	mistake(2, 1)
	c, err := f.at(1, g) // 1 -> 2 -> 1 -> and no further
	if err == nil {
		_ = endsWithin(t, c, prompt)
		c.Close()
	}
	eventually(t, "nothing is passed on any more", func() bool {
		return f.node(1).Stats().Forwarded+f.node(2).Stats().Forwarded <= 2 // the first one's two
	})
}

func TestHeldCountsByNode(t *testing.T) {
	f, vm := newFleet(t, 2), newEcho(t)
	f.node(0).granted("127.0.0.5", vm.addr)
	f.node(1).granted("127.0.0.5", vm.addr)
	f.node(1).granted("127.0.0.5", vm.addr)
	for i := range f.addrs {
		got := f.node(i).Held(netip.MustParseAddr("127.0.0.5"))
		if got[f.addrs[0]] != 1 || got[f.addrs[1]] != 2 || len(got) != 2 {
			t.Errorf("node %d: got %v, want 1 and 2", i, got)
		}
	}
}

// A port that another program has at one node is no port for the cluster.
func TestAPortThatAnotherProgramHolds(t *testing.T) {
	f, vm := newFleet(t, 2), newEcho(t)
	l, err := net.Listen("tcp", netip.AddrPortFrom(f.addrs[1], 21000).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := f.node(0).granted("127.0.0.5", vm.addr)
	if g.Port == 21000 {
		t.Error("the client got the port")
	}
	f.served(1, g)
}

// A ticket is attached where its holder comes, although he has a tunnel elsewhere.
func TestATicketIsAttachedWhereItComes(t *testing.T) {
	f, vm := newFleet(t, 2), newEcho(t)
	for i := range f.addrs {
		ticket := f.node(i).ticket(vm.addr, func(q *TicketRequest) { q.User = "ada" })
		v := f.node(i).attach(ticket, "127.0.0.9")
		says(t, v, "hello")
	}
}
