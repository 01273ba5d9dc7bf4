package gateway

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func (r *rig) ticket(vm netip.AddrPort, changes ...func(*TicketRequest)) Secret {
	r.t.Helper()
	req := TicketRequest{VMAddr: vm.Addr().String(), VMPort: vm.Port()}
	for _, change := range changes {
		change(&req)
	}
	t, err := r.IssueTicket(context.Background(), req)
	if err != nil {
		r.t.Fatalf("ticket: %v", err)
	}
	return t.Secret
}

// redeem opens a tunnel with a ticket; the body names another VM, in vain.
func (r *rig) redeem(ticket Secret, client string, changes ...func(*OpenRequest)) (Grant, error) {
	other := netip.MustParseAddrPort("127.0.0.1:9")
	return r.ask(client, other, append(changes, func(q *OpenRequest) { q.Ticket = ticket; q.User = "mallory" })...)
}

func needTickets(c *Config) { c.Targets.RequireTicket = true }

func TestTicketOverridesTheRequest(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	_, err := r.ask("127.0.0.5", vm.addr)
	refusedWith(t, err, ErrTicketRequired)
	g, err := r.redeem(r.ticket(vm.addr, func(q *TicketRequest) {
		q.User, q.VMID, q.Protocol, q.Channels = "ada", "vm-7", "vnc", 2
	}), "127.0.0.5", channels(30), func(q *OpenRequest) { q.VMID, q.Protocol = "another", "spice" })
	if err != nil {
		t.Fatal(err)
	}
	says(t, r.enter(g), "hello")
	r.enter(g)
	r.refusedAt(g)
	now, _ := r.the(g.ID)
	if now.User != "ada" || now.VMID != "vm-7" || now.Protocol != "vnc" || now.VMPort != vm.addr.Port() {
		t.Errorf("got %+v, want what the ticket says", now)
	}
	eventually(t, "the session is told", func() bool { return len(r.audit.of(g.ID)) > 0 })
	if e := r.audit.of(g.ID)[0]; !e.Verified || e.User != "ada" {
		t.Errorf("got %+v, want a verified user", e)
	}
}

func TestTicketUses(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	ticket := r.ticket(vm.addr, func(q *TicketRequest) { q.MaxUses = 3 })
	for range 3 {
		if _, err := r.redeem(ticket, "127.0.0.5"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.redeem(ticket, "127.0.0.5")
	refusedWith(t, err, ErrUsed)
	_, err = r.redeem("no such ticket", "127.0.0.5")
	refusedWith(t, err, ErrTicketUnknown)
	late := r.ticket(vm.addr, func(q *TicketRequest) { q.TTL = time.Nanosecond })
	_, err = r.redeem(late, "127.0.0.5")
	refusedWith(t, err, ErrExpired)
}

func TestOneTicketUsedTwiceAtOnce(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	for i := range 100 {
		ticket := r.ticket(vm.addr)
		errs := make([]error, 2)
		var both sync.WaitGroup
		both.Go(func() { _, errs[0] = r.redeem(ticket, "127.0.0.5") })
		both.Go(func() {
			if i%2 == 0 {
				_, errs[1] = r.redeem(ticket, "127.0.0.6")
				return
			}
			var a *Attachment
			if a, errs[1] = r.Attach(context.Background(), ticket, netip.MustParseAddr("127.0.0.6")); errs[1] == nil {
				r.serve(a).Close()
			}
		})
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("got %v and %v, want exactly one winner", errs[0], errs[1])
		}
		loser := errs[0]
		if loser == nil {
			loser = errs[1]
		}
		refusedWith(t, loser, ErrUsed)
		if _, _, err := r.Disconnect(t.Context(), Selector{All: true}, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTicketComesBackWhenNothingCameOfIt(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	ticket := r.ticket(vm.addr, func(q *TicketRequest) { q.Client = netip.MustParseAddr("127.0.0.5") })
	_, err := r.redeem(ticket, "127.0.0.6")
	refusedWith(t, err, ErrForbidden)
	r.attachRefused(ticket, "127.0.0.6", ErrForbidden)
	r.SetDrain(true)
	_, err = r.redeem(ticket, "127.0.0.5")
	refusedWith(t, err, ErrDraining)
	r.attachRefused(ticket, "127.0.0.5", ErrDraining)
	r.SetDrain(false)
	vm.listener.Close()
	_, err = r.redeem(ticket, "127.0.0.5", probing)
	refusedWith(t, err, ErrVMUnreachable)
	r.attachRefused(ticket, "127.0.0.5", ErrVMUnreachable)
	if list, _ := r.Connections(Filter{}); len(list) != 0 {
		t.Errorf("got %d grants left by failed attaches, want none", len(list))
	}
	if _, err = r.redeem(ticket, "127.0.0.5"); err != nil {
		t.Errorf("got %v, want the ticket as good as new", err)
	}
}

func TestTicketAttachesAtOnce(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	ticket := r.ticket(vm.addr, func(q *TicketRequest) { q.User = "ada" })
	v := r.attach(ticket, "127.0.0.5")
	says(t, v, "hello")
	r.attachRefused(ticket, "127.0.0.5", ErrUsed)
	list, _ := r.Connections(Filter{User: "ada"})
	if len(list) != 1 || list[0].Mode != ModeWebSocket || list[0].Channels != 1 {
		t.Errorf("got %+v, want one session over a WebSocket", list)
	}
}

// open_per_client_per_s counts open_connection alone.
func TestTicketAttachesAreNotOpenCalls(t *testing.T) {
	r, vm := newRig(t, needTickets, func(c *Config) { c.Limits.OpenPerSecond = 1 }), newEcho(t)
	for range 5 {
		says(t, r.attach(r.ticket(vm.addr), "127.0.0.5"), "hello")
	}
}

// A second ticket of the same user for the same VM: the viewer comes back,
// and its former connection gives way.
func TestSecondTicketReplacesTheFirstSession(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	of := func(q *TicketRequest) { q.User, q.Protocol = "ada", "vnc" }
	first := r.attach(r.ticket(vm.addr, of), "127.0.0.5")
	says(t, first, "hello")
	second := r.attach(r.ticket(vm.addr, of), "127.0.0.5")
	says(t, second, "hello again")
	first.told(t, 1011, ReasonReplaced)
	list, _ := r.Connections(Filter{})
	if len(list) != 1 || list[0].Channels != 1 {
		t.Errorf("got %+v, want one connection with one channel", list)
	}
	says(t, second, "still here")
}

// A second ticket whose VM does not answer leaves the first session alone.
func TestSecondTicketThatFailsEndsNothing(t *testing.T) {
	r, vm := newRig(t, needTickets), newEcho(t)
	of := func(q *TicketRequest) { q.User, q.Channels = "ada", 4 }
	first := r.attach(r.ticket(vm.addr, of), "127.0.0.5")
	says(t, first, "hello")
	vm.listener.Close()
	again := r.ticket(vm.addr, of)
	r.attachRefused(again, "127.0.0.5", ErrVMUnreachable)
	says(t, first, "still here")
	r.attachRefused(again, "127.0.0.5", ErrVMUnreachable) // it came back
}

func TestTicketLimitsTheSession(t *testing.T) {
	t.Parallel()
	r, vm := newRig(t, needTickets), newEcho(t)
	g, err := r.redeem(r.ticket(vm.addr, func(q *TicketRequest) { q.SessionMax = 500 * time.Millisecond }), "127.0.0.5")
	if err != nil {
		t.Fatal(err)
	}
	c := r.enter(g)
	says(t, c, "hello")
	if err := endsWithin(t, c, patience); !isReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
	r.audit.closed(t, g.ID, ReasonMaxTime)
	if _, ok := r.the(g.ID); ok {
		t.Error("the grant outlived its maximum")
	}
}

func TestTicketIsMadeForAllowedTargetsOnly(t *testing.T) {
	r := newRig(t)
	_, err := r.IssueTicket(t.Context(), TicketRequest{VMAddr: "192.0.2.1", VMPort: 5900})
	refusedWith(t, err, ErrTargetDenied)
	_, err = r.IssueTicket(t.Context(), TicketRequest{VMAddr: "127.0.0.1"})
	refusedWith(t, err, ErrInvalid)
	got, err := r.IssueTicket(t.Context(), TicketRequest{VMAddr: "127.0.0.1", VMPort: 5900})
	if left := time.Until(got.ExpiresAt); err != nil || len(got.Secret.Reveal()) != 43 || got.ID == "" || left < 50*time.Second || left > time.Minute {
		t.Errorf("got %+v (%v), want a minute and 43 characters", got, err)
	}
}
