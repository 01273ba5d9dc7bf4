package gateway

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

func (r *rig) attachRefused(token Secret, client string, want error) {
	r.t.Helper()
	a, err := r.Attach(context.Background(), token, netip.MustParseAddr(client))
	if err == nil {
		a.Abort()
	}
	refusedWith(r.t, err, want)
}

func TestAttachServesOneSession(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, overWebSocket)
	if g.Port != 0 {
		t.Errorf("got port %d in mode websocket, want none", g.Port)
	}
	v := r.attach(g.Token, "127.0.0.9") // it is bound to no address
	says(t, v, "hello")
	eventually(t, "live figures", func() bool {
		now, _ := r.the(g.ID)
		return now.State == StateActive && now.BytesUp == 5 && now.BytesDown == 5 && now.RTT > 0
	})
	r.attachRefused(g.Token, "127.0.0.9", ErrUsed)
	v.Close()
	if e := r.audit.closed(t, g.ID, relay.ClientClosed); e.Mode != ModeWebSocket || e.Port != 0 || e.BytesUp != 5 {
		t.Errorf("got %+v, want 5 bytes over a WebSocket", e)
	}
	r.attachRefused(g.Token, "127.0.0.9", ErrUsed)
}

func TestAttachToAPortGrant(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	r.attachRefused(g.Token, "127.0.0.6", ErrForbidden)
	says(t, r.attach(g.Token, "::ffff:127.0.0.5"), "hello") // IPv4 all the same
	says(t, r.enter(g), "beside it")
	if now, _ := r.the(g.ID); now.Channels != 2 {
		t.Errorf("got %d channels, want 2", now.Channels)
	}
}

func TestTokenComesBackWhenTheVMIsAway(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, overWebSocket)
	vm.listener.Close()
	r.attachRefused(g.Token, "127.0.0.5", ErrVMUnreachable)
	eventually(t, "the failure is told", func() bool { return len(r.audit.of(g.ID)) > 0 })
	if got := r.audit.of(g.ID); len(got) != 1 || got[0].Kind != EventFailed || got[0].Reason != ReasonVMUnreachable || got[0].Detail == "" {
		t.Errorf("got events %+v, want one failure that says why", got)
	}
	r.attachRefused(g.Token, "127.0.0.5", ErrVMUnreachable) // and not: used
}

func TestTokenComesBackAfterAbort(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, overWebSocket, channels(1))
	a, err := r.Attach(t.Context(), g.Token, g.Client)
	if err != nil {
		t.Fatal(err)
	}
	r.attachRefused(g.Token, "127.0.0.5", ErrUsed)
	a.Abort()
	if now, _ := r.the(g.ID); now.State != StateGranted || now.Channels != 0 {
		t.Errorf("got %+v after an abort, want an unused grant", now)
	}
	says(t, r.attach(g.Token, "127.0.0.5"), "hello")
}

func TestAbortDoesNotRevealASpentFreshToken(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	ask := func() Grant { return r.granted("127.0.0.5", vm.addr, overWebSocket, as("ada")) }
	g := ask()
	a, err := r.Attach(t.Context(), g.Token, g.Client)
	if err != nil {
		t.Fatal(err)
	}
	fresh := ask()
	says(t, r.attach(fresh.Token, "127.0.0.5"), "hello")
	a.Abort() // it gives back the former token, which is dead
	r.attachRefused(fresh.Token, "127.0.0.5", ErrUsed)
	r.attachRefused(g.Token, "127.0.0.5", ErrTokenUnknown)
}

func TestTokensThatDoNotAttach(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	r.attachRefused("", "127.0.0.5", ErrTokenUnknown)
	r.attachRefused("no such token", "127.0.0.5", ErrTokenUnknown)
	short := r.granted("127.0.0.5", vm.addr, overWebSocket, living(time.Millisecond))
	eventually(t, "the grant's end", func() bool { list, _ := r.Connections(Filter{}); return len(list) == 0 })
	r.attachRefused(short.Token, "127.0.0.5", ErrExpired)
	eventually(t, "the sweep", func() bool { return r.Health().Used == 0 })
	r.attachRefused(short.Token, "127.0.0.5", ErrExpired)
	back := r.granted("127.0.0.5", vm.addr, overWebSocket)
	if err := r.GiveBack(t.Context(), back.ID, back.Token, back.Client); err != nil {
		t.Fatal(err)
	}
	r.attachRefused(back.Token, "127.0.0.5", ErrTokenUnknown)
}

// What is disconnected between Attach and Serve does not come to life.
func TestServeAfterDisconnect(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, overWebSocket)
	a, err := r.Attach(t.Context(), g.Token, g.Client)
	if err != nil {
		t.Fatal(err)
	}
	if ended, _, err := r.Disconnect(t.Context(), Selector{All: true}, ""); len(ended) != 1 || err != nil {
		t.Fatalf("got %v ended (%v), want the one", ended, err)
	}
	v := r.serve(a)
	v.told(t, 1011, ReasonAdmin)
}

// A request whose client left while the VM was dialled spends nothing.
func TestAttachGivesUpWithItsRequest(t *testing.T) {
	r := newRig(t)
	vm := deaf(t)
	g := r.granted("127.0.0.5", vm, overWebSocket)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	_, err := r.Attach(ctx, g.Token, g.Client)
	refusedWith(t, err, ErrVMUnreachable)
	if took := time.Since(begin); took > prompt {
		t.Errorf("got an answer after %s, want one at once", took)
	}
	if got := r.audit.of(g.ID); len(got) != 0 {
		t.Errorf("got events %+v, want none: the VM is not to blame", got)
	}
	if now, ok := r.the(g.ID); !ok || now.State != StateGranted {
		t.Errorf("got %+v, want the grant unused", now)
	}
}
