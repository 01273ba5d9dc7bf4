package relay_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"vdi-gateway/gateway/frames"
	"vdi-gateway/gateway/relay"
)

// never is what a client is not told: its connection ends.
const never = 0

func TestAClientIsToldWhy(t *testing.T) {
	for _, tt := range []struct {
		why    relay.Reason
		code   int
		reason string
	}{
		{"admin", 1011, "admin"},
		{"replaced", 1011, "replaced"},
		{"vm_unreachable", 1011, "vm_unreachable"},
		{relay.KeepaliveTimeout, 1011, "keepalive_timeout"},
		{"idle", 1000, "idle"},
		{"max_time", 1000, "max_time"},
		{relay.Shutdown, 1001, "shutdown"},
	} {
		t.Run(string(tt.why), func(t *testing.T) {
			tun := openWeb(t, running(t), relay.Options{})
			pass(t, tun.web, tun.vm, "hello")
			pass(t, tun.vm, tun.web, "hello yourself")
			tun.pair.Kill(tt.why)
			tun.told(tt.code, tt.reason)
			if _, err := io.Copy(io.Discard, tun.vm); !isReset(err) {
				t.Errorf("got %v at the VM, want a reset", err)
			}
			if got, want := tun.result(), (relay.Result{Up: 5, Down: 14, Reason: tt.why}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestAStopTellsAllClients(t *testing.T) {
	e := newEngine()
	stop := runUntil(t, e)
	var all []*webTunnel
	for range 20 {
		tun := openWeb(t, e, relay.Options{})
		pass(t, tun.web, tun.vm, "hello")
		all = append(all, tun)
	}
	go stop()
	for _, tun := range all {
		tun.told(1001, "shutdown")
		tun.result()
	}
	stop()
	late := openWeb(t, e, relay.Options{})
	if got, want := late.result(), (relay.Result{Reason: relay.Shutdown}); got != want {
		t.Errorf("got %+v for one that came too late, want %+v", got, want)
	}
	late.told(1001, "shutdown")
	closedWithin(t, late.vm, prompt)
}

// The VM's last words come before the close frame, however slowly they are taken, and
// whatever the client says meanwhile.
func TestTheVMsLastWords(t *testing.T) {
	const size = 12 << 20
	tun := openWeb(t, running(t), relay.Options{HalfClose: patience})
	go func() {
		_, _ = io.CopyN(tun.vm, endless{}, size)
		_ = tun.vm.CloseWrite()
	}()
	total, buf := int64(0), make([]byte, 256<<10)
	for {
		n, err := tun.web.Read(buf)
		total += int64(n)
		if err == io.EOF { //nolint:errorlint // as web returns it
			break
		}
		if err != nil {
			t.Fatalf("%v after %d bytes", err, total)
		}
		if total%10 == 0 {
			time.Sleep(5 * time.Millisecond) // it is slow, that is all
			_, _ = tun.web.Write([]byte("x"))
		}
	}
	if total != size || tun.web.code != 1000 || tun.web.reason != "vm_closed" {
		t.Errorf("got %d bytes and %d %q, want %d and 1000 vm_closed", total, tun.web.code, tun.web.reason, size)
	}
	if got := tun.result(); got.Down != size || got.Reason != relay.VMClosed {
		t.Errorf("got %+v, want %d bytes down, vm_closed", got, size)
	}
}

func TestAClientIsToldOfTheVMsFailure(t *testing.T) {
	tun := openWeb(t, running(t), relay.Options{})
	pass(t, tun.web, tun.vm, "hello")
	resetBy(tun.vm)
	tun.told(1000, "vm_closed")
	if got := tun.result(); got.Reason != relay.VMClosed {
		t.Errorf("got %+v, want vm_closed", got)
	}
}

// How a client leaves.
func TestAClientThatLeaves(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*webTunnel)
		code int // it hears
	}{
		{"by a close frame", func(tun *webTunnel) { _ = tun.web.bid(4001, "enough") }, 4001},
		{"by an empty one", func(tun *webTunnel) { _, _ = tun.client.Write(webFrame(0x88, nil, [4]byte{})) }, 1005},
		{"by the end of its stream", func(tun *webTunnel) { _ = tun.client.CloseWrite() }, 1000},
		{"by half a frame and the end", func(tun *webTunnel) {
			_, _ = tun.client.Write(webFrame(0x82, []byte("lost"), [4]byte{})[:3])
			_ = tun.client.CloseWrite()
		}, 1000},
		{"by closing", func(tun *webTunnel) { _ = tun.client.Close() }, never},
		{"by a reset", func(tun *webTunnel) { resetBy(tun.client) }, never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tun := openWeb(t, running(t), relay.Options{})
			pass(t, tun.vm, tun.web, "hello")
			_, _ = tun.web.Write([]byte("last words"))
			eventually(t, "they are counted", func() bool { up, _ := tun.pair.Bytes(); return up == 10 })
			tt.do(tun)
			if got, err := io.ReadAll(tun.vm); string(got) != "last words" || err != nil {
				t.Errorf("got %q %v at the VM, want the last words and the end", got, err)
			}
			if tt.code != never {
				if _, err := tun.web.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || tun.web.code != tt.code {
					t.Errorf("got %v and code %d, want %d", err, tun.web.code, tt.code)
				}
			}
			if got, want := tun.result(), (relay.Result{Up: 10, Down: 5, Reason: relay.ClientClosed}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestViolationsAreToldAndEndThePair(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent string
		code int
	}{
		{"unmasked", "\x82\x05hello", 1002},
		{"text", string(webFrame(0x81, []byte("hello"), [4]byte{})), 1003},
		{"too large", "\x82\xff\x00\x00\x00\x00\x7f\x00\x00\x00\x00\x00\x00\x00", 1009},
		{"a bad close code", string(webFrame(0x88, []byte{3, 237}, [4]byte{})), 1002},
		{"a bad reason", string(webFrame(0x88, []byte("\x03\xe8\xff"), [4]byte{})), 1007},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tun := openWeb(t, running(t), relay.Options{})
			_, _ = tun.client.Write(append(webFrame(0x82, []byte("before"), [4]byte{1, 2, 3, 4}), tt.sent...))
			_, _ = tun.client.Write(make([]byte, 100<<10)) // behind it: nobody looks at that
			if got, err := io.ReadAll(tun.vm); string(got) != "before" || err != nil {
				t.Errorf("got %q %v at the VM, want what came before, and the end", got, err)
			}
			if _, err := tun.web.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || tun.web.code != tt.code {
				t.Errorf("got %v and code %d, want %d", err, tun.web.code, tt.code)
			}
			_ = tun.client.Close()
			if got, want := tun.result(), (relay.Result{Up: 6, Reason: relay.ClientClosed}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// A frame that is announced and never ends is waited for, and what is there of it is
// not held back.
func TestHalfAFrame(t *testing.T) {
	tun := openWeb(t, running(t), relay.Options{})
	whole := webFrame(0x82, []byte("hello there"), [4]byte{9, 8, 7, 6})
	for i, b := range whole {
		if _, err := tun.client.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		if i >= 6 {
			if _, err := io.ReadFull(tun.vm, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	pass(t, tun.vm, tun.web, "the other way is free")
}

// Pongs come between frames of data, while those come without end.
func TestPongsDuringAStream(t *testing.T) {
	tun := openWeb(t, running(t), relay.Options{})
	go func() { _, _ = io.Copy(tun.vm, endless{}) }()
	buf := make([]byte, 1<<20)
	for i := 1; i <= 20; i++ {
		if _, err := tun.client.Write(webFrame(0x89, []byte("there"), [4]byte{})); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(patience); tun.web.pongs < i; {
			if _, err := tun.web.Read(buf); err != nil || time.Now().After(end) {
				t.Fatalf("%d pongs came (%v), want %d", tun.web.pongs, err, i)
			}
		}
	}
	up, _ := tun.pair.Bytes()
	if up != 0 {
		t.Errorf("got %d bytes up, want none: pings are none", up)
	}
}

// What came with the handshake, and what somebody read before, belongs to the stream.
func TestWhatWasReadBeforeTheJoin(t *testing.T) {
	e := running(t)
	atGateway, client := connection(t)
	toVM, vm := connection(t)
	first, second := webFrame(0x82, []byte("version"), [4]byte{1, 2, 3, 4}), webFrame(0x82, []byte("hello"), [4]byte{5, 6, 7, 8})
	if _, err := client.Write(append(first, second[:7]...)); err != nil {
		t.Fatal(err)
	}
	early := make([]byte, len(first)+4)
	if _, err := io.ReadFull(atGateway, early); err != nil {
		t.Fatal(err)
	}
	s := frames.NewStream(atGateway, atGateway, early)
	_ = s.SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(s, make([]byte, 3)); err != nil { // of a handshake
		t.Fatal(err)
	}
	_ = s.SetDeadline(time.Time{})
	e.Join(s, toVM, relay.Options{})
	if _, err := client.Write(second[7:]); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 9)
	if _, err := io.ReadFull(vm, got); err != nil || string(got) != "sionhello" {
		t.Errorf("got %q %v, want the rest", got, err)
	}
}

// A pair with frames is not handed over: it stays, and its client hears of the end of
// the process.
func TestFramedPairsAreNotHandedOver(t *testing.T) {
	skipCopying(t)
	e := newEngine()
	stop := runUntil(t, e)
	tun := openWeb(t, e, relay.Options{Tag: "framed"})
	pass(t, tun.web, tun.vm, "before")
	if got := e.Handover(); len(got) != 0 {
		t.Errorf("got %+v, want nothing handed over", got)
	}
	pass(t, tun.vm, tun.web, "after")
	go stop()
	tun.told(1001, "shutdown")
	tun.result()
	stop()
}
