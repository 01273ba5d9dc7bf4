package relay_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// A client that has closed, and reads nothing of what was on its way to it.
func TestAClientThatClosesWhileItDoesNotRead(t *testing.T) {
	tun := openWeb(t, running(t), relay.Options{})
	go func() { _, _ = io.Copy(tun.vm, endless{}) }()
	stuck(tun.tunnel)
	began := time.Now()
	_ = tun.web.CloseWrite()
	if got := tun.result(); got.Reason != relay.ClientClosed {
		t.Errorf("got %+v, want client_closed", got)
	}
	if took := time.Since(began); took > prompt {
		t.Errorf("it took %s", took)
	}
	closedWithin(t, tun.vm, prompt)
}

// What a client has said before its close frame reaches a VM that takes its time.
func TestASlowVMGetsAll(t *testing.T) {
	tun := openWeb(t, running(t), relay.Options{})
	size := int64(0)
	for {
		_ = tun.client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := tun.web.Write(make([]byte, 1<<20))
		size += int64(n)
		if err != nil {
			break
		}
	}
	_ = tun.client.SetWriteDeadline(time.Now().Add(patience))
	closed := make(chan error, 1)
	go func() { closed <- tun.web.CloseWrite() }()
	got := int64(0)
	for buf := make([]byte, 256<<10); ; time.Sleep(2 * time.Millisecond) { // it is slow
		n, err := tun.vm.Read(buf)
		got += int64(n)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
	}
	if err := <-closed; err != nil || got != size {
		t.Errorf("got %d bytes (%v), want %d", got, err, size)
	}
	if res := tun.result(); res.Up != size || res.Reason != relay.ClientClosed {
		t.Errorf("got %+v, want %d bytes up", res, size)
	}
}

// Nobody who reads nothing makes the relay hold more than a buffer.
func TestFramedPeersThatNeverRead(t *testing.T) {
	e := running(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const pairs = 10
	var all []*webTunnel
	for range pairs {
		tun := openWeb(t, e, relay.Options{})
		for _, c := range []net.Conn{tun.client, tun.vm} {
			_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		}
		for flood := make([]byte, 1<<20); ; {
			_, up := tun.web.Write(flood)
			_, down := tun.vm.Write(flood)
			if up != nil && down != nil {
				break // the pipeline is full
			}
		}
		tun.web.owed = nil
		all = append(all, tun)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown, most := int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(pairs*512<<10); grown > most {
		t.Errorf("got %d bytes held for %d stalled pairs, want at most %d", grown, pairs, most)
	}
	for _, tun := range all {
		tun.pair.Kill("enough")
		tun.result() // and they end
	}
}

// Pings without end, of a client that takes no answer, are its own problem.
func TestAFloodOfPings(t *testing.T) {
	e := running(t)
	tun := openWeb(t, e, relay.Options{})
	go func() { _, _ = io.Copy(tun.vm, endless{}) }()
	stuck(tun.tunnel)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	ping := []byte(strings.Repeat(string(webFrame(0x89, make([]byte, 125), [4]byte{})), 1000))
	flooding := make(chan struct{})
	go func() {
		defer close(flooding)
		_ = tun.client.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		for {
			if _, err := tun.client.Write(ping); err != nil {
				return
			}
		}
	}()
	beside := open(t, e, relay.Options{})
	for range 20 {
		pass(t, beside.client, beside.vm, "others are served")
	}
	<-flooding
	eventually(t, "nothing is kept of them", func() bool { // what was garbage once is gone
		runtime.GC()
		runtime.ReadMemStats(&after)
		return int64(after.HeapAlloc)-int64(before.HeapAlloc) < 1<<20
	})
	tun.pair.Kill("enough")
	if got := tun.result(); got.Up != 0 {
		t.Errorf("got %+v, want no byte up: pings are none", got)
	}
}

// A kill does not wait for a client that takes nothing: the last word cannot reach it,
// a reset can.
func TestAKillDoesNotWaitForTheClient(t *testing.T) {
	tun := openWeb(t, running(t), relay.Options{})
	go func() { _, _ = io.Copy(tun.vm, endless{}) }()
	stuck(tun.tunnel)
	began := time.Now()
	tun.pair.Kill("admin")
	if got := tun.result().Reason; got != "admin" {
		t.Errorf("got %s, want admin", got)
	}
	if took := time.Since(began); took > prompt {
		t.Errorf("it took %s", took)
	}
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{tun.client}); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}
