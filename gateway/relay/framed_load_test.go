package relay_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// talk sends size bytes of a stream of its own, in pieces of all sizes.
func talk(c io.Writer, seed uint64, size int) error {
	r, source := rand.New(rand.NewPCG(seed, 3)), rand.NewChaCha8([32]byte{byte(seed)})
	for b := make([]byte, 1<<20); size > 0; {
		n := min(size, 1+r.IntN(1<<r.IntN(21)))
		_, _ = source.Read(b[:n])
		if _, err := c.Write(b[:n]); err != nil {
			return fmt.Errorf("stream %d: %w", seed, err)
		}
		size -= n
	}
	return nil
}

// hears wants that stream.
func hears(c io.Reader, seed uint64, size int) error {
	got, want := sha256.New(), sha256.New()
	_, _ = io.CopyN(want, rand.NewChaCha8([32]byte{byte(seed)}), int64(size))
	n, err := io.CopyN(got, struct{ io.Reader }{c}, int64(size))
	if err != nil || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		return fmt.Errorf("stream %d: %d bytes (%w), the same: %v", seed, n, err, bytes.Equal(got.Sum(nil), want.Sum(nil)))
	}
	return nil
}

// Many at once, both ways, with pings between: every byte arrives, in order.
func TestFramedStreamsUnderLoad(t *testing.T) {
	e := running(t)
	const pairs, size = 8, 12 << 20
	failed := make(chan error, 4*pairs)
	var all sync.WaitGroup
	var tunnels []*webTunnel
	for i := range uint64(pairs) {
		tun := openWeb(t, e, relay.Options{Ping: 20 * time.Millisecond})
		tunnels = append(tunnels, tun)
		all.Go(func() { failed <- talk(tun.web, 2*i, size) })
		all.Go(func() { failed <- hears(tun.vm, 2*i, size) })
		all.Go(func() { failed <- talk(tun.vm, 2*i+1, size) })
		all.Go(func() { failed <- hears(tun.web, 2*i+1, size) })
	}
	all.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			t.Error(err)
		}
	}
	if loops := e.Figures(); loops.Loops > 0 && loops.Spliced == 0 {
		t.Error("nothing was spliced")
	}
	for _, tun := range tunnels {
		tun.pair.Kill("enough")
		if got, want := tun.result(), (relay.Result{Up: size, Down: size, Reason: "enough"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// Ended at any moment, from any side: every pair ends once, soon, with nothing left.
func TestFramedPairsEndAtAnyMoment(t *testing.T) {
	e := running(t)
	r := rand.New(rand.NewPCG(1, 1))
	for range 60 {
		tun := openWeb(t, e, relay.Options{Ping: 5 * time.Millisecond})
		var ends sync.WaitGroup
		ends.Go(func() { _ = talk(tun.web, 1, 1<<30) })
		ends.Go(func() { _ = talk(tun.vm, 2, 1<<30) })
		ends.Go(func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{tun.vm}) })
		ends.Go(func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{tun.web}) })
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond) // any moment
		want := relay.Reason("admin")
		switch r.IntN(4) {
		case 0:
			want = relay.VMClosed
			resetBy(tun.vm)
		case 1:
			want = relay.ClientClosed
			resetBy(tun.client)
		case 2:
			want = relay.VMClosed
			_ = tun.vm.CloseWrite()
		default:
			tun.pair.Kill(want)
		}
		if got := tun.result().Reason; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		_, _ = tun.vm.Close(), tun.client.Close()
		ends.Wait()
		select {
		case again := <-tun.ended:
			t.Errorf("got a second end: %+v", again)
		default:
		}
	}
	if e.Len() != 0 {
		t.Errorf("got %d pairs, want none", e.Len())
	}
}

func TestCutFramedStreamsLeaveNoDescriptor(t *testing.T) {
	e := running(t)
	life := func(t *testing.T) {
		for i := range 4 {
			tun := openWeb(t, e, relay.Options{})
			go func() { _, _ = io.Copy(tun.vm, endless{}) }()
			stuck(tun.tunnel)
			switch i % 4 {
			case 0:
				tun.pair.Kill("admin")
			case 1:
				resetBy(tun.vm)
				resetBy(tun.client) // before that nobody looks at the VM: it has said enough
			case 2:
				_ = tun.web.CloseWrite()
			default:
				resetBy(tun.client)
			}
			tun.result()
		}
	}
	t.Run("first", life)
	before := descriptors(t)
	t.Run("second", life)
	eventually(t, "as many descriptors as before", func() bool {
		runtime.GC()
		return descriptors(t) <= before+8 // empty pipes that loops keep
	})
}

// An idle WebSocket costs what an idle connection does: two sockets and some hundred
// bytes, no goroutine and no buffer.
func TestIdleWebSocketsAreSmall(t *testing.T) {
	if os.Getenv(engineVar) != "" {
		t.Skip("a copied pair has goroutines")
	}
	e := running(t)
	const pairs = 200
	figures := func() (bytes uint64, goroutines int) {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, runtime.NumGoroutine()
	}
	tunnels := make([]*tunnel, 0, pairs)
	var ends []net.Conn
	for range pairs { // the far ends are here as well
		tun := openWeb(t, e, relay.Options{Ping: time.Hour})
		ends, tunnels = append(ends, tun.client, tun.vm), append(tunnels, tun.tunnel)
	}
	first, goroutines := figures()
	for i := range pairs {
		tun := tunnels[i]
		if _, err := tun.client.Write(webFrame(0x82, make([]byte, 60<<10), [4]byte{1})); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, struct{ io.Reader }{tun.vm}, 60<<10); err != nil {
			t.Fatal(err)
		}
	}
	then, more := figures()
	if then > first+pairs*1<<10 || more > goroutines {
		t.Errorf("got %d bytes and %d goroutines more for %d that idle again, want next to nothing", int64(then)-int64(first), more-goroutines, pairs)
	}
	if goroutines > 40 {
		t.Errorf("got %d goroutines with %d pairs", goroutines, pairs)
	}
	runtime.KeepAlive(ends)
}
