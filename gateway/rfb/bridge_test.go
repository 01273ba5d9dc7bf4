package rfb

import (
	"context"
	"net"
	"sync"
	"testing"

	"vdi-gateway/gateway/rfb/desktop"
)

// bridge is a gateway for a test: it lets clients in on its terms, and relays them to the
// sample desktop.
type bridge struct {
	terms Terms
	watch bool // they may only watch
	addr  string
	desk  *desktop.Desktop

	mu     sync.Mutex
	admits []Report
	errs   []error
	heard  []byte // by the desktop, after the handshakes
}

func startBridge(t *testing.T, b *bridge) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	l, vm := listen(t), listen(t)
	b.addr, b.desk = l.Addr().String(), desktop.New(desktop.Config{Name: "behind the bridge"})
	all.Go(func() { _ = b.desk.Serve(ctx, vm) })
	all.Go(func() { <-ctx.Done(); _ = l.Close() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { b.serve(ctx, conn, vm.Addr().String()) })
		}
	})
}

func (b *bridge) serve(ctx context.Context, conn net.Conn, vmAddr string) {
	vm, _, err := Dial(ctx, dialer(vmAddr), Config{})
	if err != nil {
		_ = Refuse(ctx, conn, 0, "")
		b.note(Report{}, err)
		return
	}
	client, report, err := Accept(ctx, conn, b.terms)
	b.note(report, err)
	if err != nil {
		_ = vm.Close()
		return
	}
	if b.watch {
		client = Watch(client, AlwaysShared)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	relay(client, recorder{vm, b})
}

// recorder is a connection to a desktop, which notes what is said to it.
type recorder struct {
	net.Conn
	b *bridge
}

func (r recorder) Write(p []byte) (int, error) {
	r.b.mu.Lock()
	r.b.heard = append(r.b.heard, p...)
	r.b.mu.Unlock()
	return r.Conn.Write(p)
}

func (b *bridge) note(r Report, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.errs = append(b.errs, err)
	} else {
		b.admits = append(b.admits, r)
	}
}

// seen is what became of the clients until now.
func (b *bridge) seen() (admits []Report, errs []error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.admits, b.errs
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
