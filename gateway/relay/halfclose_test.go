package relay_test

import (
	"io"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

func TestSilenceAfterHalfCloseEndsThePair(t *testing.T) {
	for _, tt := range []struct {
		name     string
		byClient bool
		want     relay.Reason
	}{{"client finished", true, relay.ClientClosed}, {"VM finished", false, relay.VMClosed}} {
		t.Run(tt.name, func(t *testing.T) {
			tun := open(t, running(t), relay.Options{HalfClose: 50 * time.Millisecond})
			from, to := tun.client, tun.vm
			if !tt.byClient {
				from, to = to, from
			}
			pass(t, from, to, "hello")
			finish(t, from, to)
			if got := tun.result().Reason; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			closedWithin(t, to, prompt)
		})
	}
}

func TestTrafficAfterHalfCloseKeepsThePair(t *testing.T) {
	const silence = 500 * time.Millisecond
	tun := open(t, running(t), relay.Options{HalfClose: silence})
	finish(t, tun.client, tun.vm)
	for begin := time.Now(); time.Since(begin) < 2*silence; {
		pass(t, tun.vm, tun.client, "still here")
		time.Sleep(silence / 20) // the pace of the traffic, not a wait
	}
	select {
	case got := <-tun.ended:
		t.Fatalf("got %+v while bytes were flowing, want a living pair", got)
	default:
	}
	if got := tun.result().Reason; got != relay.ClientClosed {
		t.Errorf("got %s after the traffic, want client_closed", got)
	}
}

func TestWithoutHalfCloseTimeSilenceIsAllowed(t *testing.T) {
	e := running(t)
	tun := open(t, e, relay.Options{HalfClose: 0})
	finish(t, tun.client, tun.vm)
	// Another pair with the shortest of times shows that the engine looked.
	other := open(t, e, relay.Options{HalfClose: time.Nanosecond})
	finish(t, other.client, other.vm)
	other.result()
	pass(t, tun.vm, tun.client, "still here")
	_ = tun.vm.Close()
	if got := tun.result().Reason; got != relay.ClientClosed {
		t.Errorf("got %s, want client_closed", got)
	}
}

// A pair that is not half-closed may be silent for as long as it likes: that
// is Timeouts.Idle's business.
func TestSilenceWithoutHalfCloseIsNotItsBusiness(t *testing.T) {
	e := running(t)
	tun := open(t, e, relay.Options{HalfClose: time.Nanosecond})
	other := open(t, e, relay.Options{HalfClose: time.Nanosecond})
	finish(t, other.client, other.vm)
	other.result()
	pass(t, tun.vm, tun.client, "still here")
	pass(t, tun.client, tun.vm, "me too")
}

// The end of a stream takes a number of TCP's sequence space, but is no byte.
func TestAnEndOfStreamIsNotCounted(t *testing.T) {
	tun := open(t, running(t), relay.Options{HalfClose: patience})
	const chunk = 64 << 10
	var sent int64
	for { // until the VM's buffers, the relay's and the client's are full
		_ = tun.client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := tun.client.Write(make([]byte, chunk))
		sent += int64(n)
		if err != nil {
			break
		}
	}
	_ = tun.client.CloseWrite()
	for read := int64(0); read < sent; {
		n, err := tun.vm.Read(make([]byte, chunk))
		if err != nil {
			t.Fatal(err)
		}
		read += int64(n)
		// The kernel may take the end in between telling state and bytes: a
		// second look knows.
		if tun.pair.Stats().Up <= sent {
			continue
		}
		if s := tun.pair.Stats(); s.Up > sent {
			t.Fatalf("got %d bytes up, want at most the %d that were sent", s.Up, sent)
		}
	}
	if n, err := io.Copy(io.Discard, tun.vm); n != 0 || err != nil {
		t.Fatalf("got %d more bytes (%v), want the end", n, err)
	}
	_ = tun.vm.CloseWrite()
	if got := tun.result(); got.Up != sent {
		t.Errorf("got %d bytes up in the end, want %d", got.Up, sent)
	}
}
