package relay_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

func TestAnEndOfOneLegEndsTheOther(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*tunnel)
		want relay.Reason
		// left is the end of the leg that is still there.
		left func(*tunnel) *net.TCPConn
	}{
		{"client resets", func(tun *tunnel) { resetBy(tun.client) }, relay.ClientClosed, (*tunnel).vmEnd},
		{"VM resets", func(tun *tunnel) { resetBy(tun.vm) }, relay.VMClosed, (*tunnel).clientEnd},
		{"client resets after the VM finished", func(tun *tunnel) {
			finish(tun.t, tun.vm, tun.client)
			resetBy(tun.client)
		}, relay.ClientClosed, (*tunnel).vmEnd},
		{"VM resets after the client finished", func(tun *tunnel) {
			finish(tun.t, tun.client, tun.vm)
			resetBy(tun.vm)
		}, relay.VMClosed, (*tunnel).clientEnd},
		{"client is gone while the VM talks", func(tun *tunnel) {
			tun.client.Close()
			_, _ = io.Copy(tun.vm, endless{})
		}, relay.ClientClosed, nil},
		{"VM is killed while the client talks", func(tun *tunnel) {
			tun.vm.Close()
			_, _ = io.Copy(tun.client, endless{})
		}, relay.VMClosed, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tun := open(t, running(t), relay.Options{HalfClose: patience})
			pass(t, tun.client, tun.vm, "hello")
			tt.do(tun)
			if tt.left != nil {
				closedWithin(t, tt.left(tun), prompt)
			}
			if got := tun.result(); got.Reason != tt.want || got.Up < 5 {
				t.Errorf("got %+v, want reason %s and the bytes that went through", got, tt.want)
			}
		})
	}
}

func (tun *tunnel) vmEnd() *net.TCPConn     { return tun.vm }
func (tun *tunnel) clientEnd() *net.TCPConn { return tun.client }

// endless is a peer that never stops talking.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// finish ends the sending side of from and waits until to has seen it.
func finish(t testing.TB, from, to *net.TCPConn) {
	t.Helper()
	if err := from.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, to); n != 0 || err != nil {
		t.Fatalf("got %d bytes (%v), want a plain end of stream", n, err)
	}
}

// closedWithin waits until c can neither be read from nor written to.
func closedWithin(t testing.TB, c *net.TCPConn, most time.Duration) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(most))
	_, _ = io.Copy(io.Discard, c)
	for {
		_, err := c.Write([]byte{0})
		switch {
		case isReset(err):
			return
		case err != nil:
			t.Fatalf("got %v after %s, want a closed connection", err, most)
		}
	}
}

func TestKillResetsBothLegsAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(*tunnel)
		// seen: the test's own writer may be the one that sees the reset.
		seen bool
	}{
		{"idle", func(*tunnel) {}, true},
		{"busy both ways with nobody reading", func(tun *tunnel) {
			go func() { _, _ = io.Copy(tun.client, endless{}) }()
			go func() { _, _ = io.Copy(tun.vm, endless{}) }()
			stuck(tun)
		}, false},
		{"half-closed", func(tun *tunnel) { finish(tun.t, tun.client, tun.vm) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tun := open(t, running(t), relay.Options{})
			tt.before(tun)
			begin := time.Now()
			tun.pair.Kill("admin")
			for _, c := range []*net.TCPConn{tun.client, tun.vm} {
				_ = c.SetReadDeadline(begin.Add(prompt))
				if _, err := io.Copy(io.Discard, c); tt.seen && !isReset(err) {
					t.Errorf("got %v, want a reset", err)
				}
				closedWithin(t, c, prompt)
			}
			if got := tun.result().Reason; got != "admin" {
				t.Errorf("got reason %s, want admin", got)
			}
		})
	}
}

// stuck waits until nothing moves any more: all buffers are full.
func stuck(tun *tunnel) {
	var last int64
	same := 0
	eventually(tun.t, "full buffers", func() bool {
		s := tun.pair.Stats()
		if moved := s.Up + s.Down; moved == last && moved > 0 {
			same++
		} else {
			last, same = moved, 0
		}
		return same > 20
	})
}

func TestTheFirstReasonStands(t *testing.T) {
	tun := open(t, running(t), relay.Options{})
	tun.pair.Kill("idle")
	tun.pair.Kill("admin")
	if got := tun.result().Reason; got != "idle" {
		t.Errorf("got %s, want idle", got)
	}
}

func TestTheEndIsToldOnce(t *testing.T) {
	const pairs = 50
	e := newEngine()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var told [pairs]atomic.Int32
	for i := range pairs {
		client, farClient := connection(t)
		vm, farVM := connection(t)
		p := e.Join(client, vm, relay.Options{OnEnd: func(relay.Result) { told[i].Add(1) }})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { p.Kill("admin") })
		}
		all.Go(func() { resetBy(farClient) })
		all.Go(func() { farVM.Close() })
		all.Wait()
	}
	stop()
	_ = e.Run(ctx) // returns after the last end
	for i := range told {
		if got := told[i].Load(); got != 1 {
			t.Errorf("got the end of pair %d told %d times, want once", i, got)
		}
	}
}

func TestNobodyHasToHearTheEnd(t *testing.T) {
	e := running(t)
	client, _ := connection(t)
	vm, _ := connection(t)
	e.Join(client, vm, relay.Options{}).Kill("admin")
	eventually(t, "no pair left", func() bool { return e.Len() == 0 })
}

func TestStoppingEndsAllPairs(t *testing.T) {
	e := newEngine()
	ctx, stop := context.WithCancel(context.Background())
	var told atomic.Int32
	var tunnels []*tunnel
	for range 20 {
		client, farClient := connection(t)
		vm, farVM := connection(t)
		tun := &tunnel{t: t, client: farClient, vm: farVM, ended: make(chan relay.Result, 2)}
		tun.pair = e.Join(client, vm, relay.Options{OnEnd: func(r relay.Result) {
			time.Sleep(time.Millisecond) // an audit takes its time
			told.Add(1)
			tun.ended <- r
		}})
		tunnels = append(tunnels, tun)
	}
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	pass(t, tunnels[0].client, tunnels[0].vm, "hello")
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if got := told.Load(); got != 20 {
		t.Fatalf("got %d ends told when Run returned, want 20", got)
	}
	for _, tun := range tunnels {
		if got := tun.result().Reason; got != relay.Shutdown {
			t.Errorf("got reason %s, want shutdown", got)
		}
		closedWithin(t, tun.client, prompt)
		closedWithin(t, tun.vm, prompt)
	}
	late := open(t, e, relay.Options{})
	if got, want := late.result(), (relay.Result{Reason: relay.Shutdown}); got != want {
		t.Errorf("got %+v for a pair joined too late, want %+v", got, want)
	}
	closedWithin(t, late.client, prompt)
	closedWithin(t, late.vm, prompt)
	if got := e.Len(); got != 0 {
		t.Errorf("got %d pairs, want none", got)
	}
}

// What was counted once stays counted, also while the legs are being closed.
func TestFiguresNeverGoBack(t *testing.T) {
	e := running(t)
	for range 200 {
		tun := open(t, e, relay.Options{})
		pass(t, tun.client, tun.vm, "hello")
		sawFigures(t, tun.pair, 5, 0)
		resetBy(tun.vm)
		for ended := false; !ended; {
			select {
			case <-tun.ended:
				ended = true
			default:
			}
			if got := tun.pair.Stats().Up; got != 5 {
				t.Fatalf("got %d bytes up while the pair ends, want the 5 that were there", got)
			}
		}
	}
}
