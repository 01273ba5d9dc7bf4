package relay_test

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// message is a client's leg that is not TCP: like a WebSocket it has no
// half-close.
type message struct {
	net.Conn
	resets atomic.Int32
}

func (m *message) Reset() error {
	m.resets.Add(1)
	return m.Close()
}

// duplex is a leg in memory whose two ways end separately.
type duplex struct {
	net.Conn // for deadlines and addresses, which nobody uses
	in       *io.PipeReader
	out      *io.PipeWriter
}

func (d *duplex) Read(b []byte) (int, error)  { return d.in.Read(b) }
func (d *duplex) Write(b []byte) (int, error) { return d.out.Write(b) }
func (d *duplex) CloseWrite() error           { return d.out.Close() }
func (d *duplex) Close() error                { return errors.Join(d.in.Close(), d.out.Close()) }

func duplexes() (a, b *duplex) {
	ar, bw := io.Pipe()
	br, aw := io.Pipe()
	return &duplex{in: ar, out: aw}, &duplex{in: br, out: bw}
}

// overMessages joins a client without half-close to a VM over TCP.
func overMessages(t *testing.T, opt relay.Options) (client net.Conn, leg *message, tun *tunnel) {
	t.Helper()
	here, client := net.Pipe()
	_ = client.SetDeadline(time.Now().Add(3 * patience))
	leg = &message{Conn: here}
	toVM, vm := connection(t)
	tun = &tunnel{t: t, vm: vm, ended: make(chan relay.Result, 8)}
	opt.OnEnd = func(r relay.Result) { tun.ended <- r }
	tun.pair = running(t).Join(leg, toVM, opt)
	t.Cleanup(func() { client.Close() })
	return client, leg, tun
}

func TestMessageLegThatClosesIsGone(t *testing.T) {
	client, _, tun := overMessages(t, relay.Options{})
	pass(t, client, tun.vm, "hello")
	pass(t, tun.vm, client, "hello yourself")
	client.Close()
	// It cannot hear any more, so the VM's answer is not waited for.
	closedWithin(t, tun.vm, prompt)
	want := relay.Result{Up: 5, Down: 14, Reason: relay.ClientClosed}
	if got := tun.result(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMessageLegIsToldOfTheVMsEnd(t *testing.T) {
	client, _, tun := overMessages(t, relay.Options{})
	_, _ = io.WriteString(tun.vm, "bye")
	tun.vm.Close()
	got, err := io.ReadAll(client)
	if string(got) != "bye" || err != nil {
		t.Errorf("got %q (%v), want the VM's last words and the end", got, err)
	}
	if got, want := tun.result(), (relay.Result{Down: 3, Reason: relay.VMClosed}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMessageLegIsResetByAKill(t *testing.T) {
	client, leg, tun := overMessages(t, relay.Options{})
	pass(t, client, tun.vm, "hello")
	tun.pair.Kill("admin")
	if leg.resets.Load() == 0 {
		t.Error("the leg was closed, want it reset")
	}
	closedWithin(t, tun.vm, prompt)
	if got, want := tun.result(), (relay.Result{Up: 5, Reason: "admin"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("got bytes from a killed leg")
	}
}

// broken is a leg whose writes fail while its reads go on.
type broken struct {
	net.Conn
	err error
}

func (b broken) Write(p []byte) (int, error) { return len(p) / 2, b.err }

func TestTheLegThatFailsIsBlamed(t *testing.T) {
	for _, tt := range []struct {
		name string
		join func(e *relay.Engine, a, b net.Conn, opt relay.Options)
		want relay.Result
	}{
		{"the client takes no more", func(e *relay.Engine, a, b net.Conn, opt relay.Options) {
			e.Join(broken{a, io.ErrClosedPipe}, b, opt)
		}, relay.Result{Down: 2, Reason: relay.ClientClosed}},
		{"the VM takes no more", func(e *relay.Engine, a, b net.Conn, opt relay.Options) {
			e.Join(b, broken{a, io.ErrClosedPipe}, opt)
		}, relay.Result{Up: 2, Reason: relay.VMClosed}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			taker, farTaker := net.Pipe()
			giver, farGiver := net.Pipe()
			defer farTaker.Close()
			defer farGiver.Close()
			ended := make(chan relay.Result, 1)
			tt.join(running(t), taker, giver, relay.Options{OnEnd: func(r relay.Result) { ended <- r }})
			_, _ = io.WriteString(farGiver, "four")
			select {
			case got := <-ended:
				if got != tt.want {
					t.Errorf("got %+v, want %+v: half of four bytes went through", got, tt.want)
				}
			case <-time.After(patience):
				t.Fatal("the pair did not end")
			}
		})
	}
}

func TestHalfCloseOfALegInMemory(t *testing.T) {
	here, client := duplexes()
	toVM, vm := connection(t)
	ended := make(chan relay.Result, 1)
	running(t).Join(here, toVM, relay.Options{OnEnd: func(r relay.Result) { ended <- r }})
	pass(t, client, vm, "question")
	_ = client.CloseWrite()
	if n, err := io.Copy(io.Discard, vm); n != 0 || err != nil {
		t.Fatalf("got %d bytes (%v), want a plain end of stream", n, err)
	}
	pass(t, vm, client, "answer")
	vm.Close()
	if _, err := client.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // io.Reader promises it
		t.Errorf("got %v, want the end of the stream", err)
	}
	if got, want := <-ended, (relay.Result{Up: 8, Down: 6, Reason: relay.ClientClosed}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// lingering is a leg whose reset takes until the other side is gone.
type lingering struct {
	*message
	until chan struct{}
}

func (l lingering) Reset() error {
	err := l.Close()
	select {
	case <-l.until:
	case <-time.After(patience):
	}
	return err
}

// The first leg's reset ends a direction, which closes the other leg: that
// must be a reset too.
func TestAKillNeverClosesGently(t *testing.T) {
	toClient, client := connection(t)
	here, vm := net.Pipe()
	defer vm.Close()
	leg := lingering{&message{Conn: here}, make(chan struct{})}
	pair := running(t).Join(toClient, leg, relay.Options{})
	killed := make(chan struct{})
	go func() { defer close(killed); pair.Kill("admin") }()
	if _, err := io.Copy(io.Discard, client); !isReset(err) {
		t.Errorf("got %v at the client, want a reset", err)
	}
	close(leg.until)
	<-killed
}
