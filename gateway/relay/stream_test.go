package relay_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

func randomBytes(n int) []byte {
	src := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = src.Read(b)
	return b
}

// plainLeg and wrappedLeg are the two kinds of client leg: one that the kernel
// can splice and one that it cannot.
type wrappedLeg struct{ *net.TCPConn }

func (w wrappedLeg) Reset() error {
	relay.Reset(w.TCPConn)
	return nil
}

func plainLeg(c *net.TCPConn) net.Conn   { return c }
func anotherLeg(c *net.TCPConn) net.Conn { return wrappedLeg{c} }

func TestHalfCloseStillEchoesEverything(t *testing.T) {
	const size = 8 << 20
	for _, tt := range []struct {
		name     string
		leg      func(*net.TCPConn) net.Conn
		byClient bool
		want     relay.Reason
	}{
		{"client finishes, spliced", plainLeg, true, relay.ClientClosed},
		{"VM finishes, spliced", plainLeg, false, relay.VMClosed},
		{"client finishes, copied", anotherLeg, true, relay.ClientClosed},
		{"VM finishes, copied", anotherLeg, false, relay.VMClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tun := openOver(t, running(t), relay.Options{HalfClose: patience}, tt.leg)
			talker, echoer := tun.client, tun.vm
			if !tt.byClient {
				talker, echoer = tun.vm, tun.client
			}
			go echo(echoer)
			sent := randomBytes(size)
			go func() {
				_, _ = talker.Write(sent) // what is lost shows in what comes back
				_ = talker.CloseWrite()
			}()
			got, err := io.ReadAll(talker)
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("got %d bytes back (%v), want the same %d and then the end", len(got), err, size)
			}
			if got, want := tun.result(), (relay.Result{Up: size, Down: size, Reason: tt.want}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func echo(c *net.TCPConn) {
	_, _ = io.Copy(c, c)
	_ = c.CloseWrite()
}

func TestLiveFigures(t *testing.T) {
	for _, tt := range []struct {
		name string
		leg  func(*net.TCPConn) net.Conn
	}{{"spliced", plainLeg}, {"copied", anotherLeg}} {
		t.Run(tt.name, func(t *testing.T) {
			begin := time.Now()
			tun := openOver(t, running(t), relay.Options{}, tt.leg)
			if s := tun.pair.Stats(); s.Up != 0 || s.Down != 0 || s.LastActivity.Before(begin) {
				t.Errorf("got %+v before the first byte, want no bytes and the begin as last activity", s)
			}
			pass(t, tun.client, tun.vm, "hello")
			pass(t, tun.vm, tun.client, "hello yourself")
			sawFigures(t, tun.pair, 5, 14)
			if s := tun.pair.Stats(); time.Since(s.LastActivity) > patience || s.RTT < 0 {
				t.Errorf("got %+v, want an activity of just now", s)
			}
			_ = tun.client.CloseWrite()
			if _, err := io.ReadAll(tun.vm); err != nil {
				t.Fatal(err)
			}
			sawFigures(t, tun.pair, 5, 14)
			tun.pair.Kill("enough")
			want := relay.Result{Up: 5, Down: 14, Reason: "enough"}
			if got := tun.result(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if s := tun.pair.Stats(); s.Up != 5 || s.Down != 14 {
				t.Errorf("got %+v after the end, want the final bytes", s)
			}
		})
	}
}

// sawFigures waits for exactly these counters; a leg wrapped for copying may
// count a moment after the peer has read.
func sawFigures(t *testing.T, p relay.Pair, up, down int64) {
	t.Helper()
	eventually(t, "exact live counters", func() bool {
		s := p.Stats()
		if s.Up > up || s.Down > down {
			t.Fatalf("got %d up, %d down; more than the %d and %d that were sent", s.Up, s.Down, up, down)
		}
		return s.Up == up && s.Down == down
	})
}

func TestRoundTripOfClientLegIsKnown(t *testing.T) {
	tun := open(t, running(t), relay.Options{})
	pass(t, tun.vm, tun.client, "ping")
	eventually(t, "a round-trip time above zero", func() bool { return tun.pair.Stats().RTT > 0 })
}

// A splice in progress hides what it has moved; figures have to grow all the
// same while a stream runs.
func TestFiguresGrowDuringOneLongStream(t *testing.T) {
	const size = 32 << 20
	tun := open(t, running(t), relay.Options{})
	go func() { _, _ = tun.client.Write(make([]byte, size)) }()
	var before int64
	for read := 0; read < size; {
		n, err := tun.vm.Read(make([]byte, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		read += n
		now := tun.pair.Stats().Up
		if now < before || now < int64(read) {
			t.Fatalf("got %d bytes up after %d, with %d already at the VM", now, before, read)
		}
		before = now
	}
	sawFigures(t, tun.pair, size, 0)
}
