package relay_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// An owner asks for figures under the lock that its Joined takes, too.
func TestFiguresWhileAPairIsJoined(t *testing.T) {
	e, vm := running(t), echoVM(t)
	var mu sync.Mutex // the owner's
	pairs := map[relay.Pair]bool{}
	d, err := e.Listen(loopback(), relay.DoorOptions{Knock: func(_ relay.Visitor, p relay.Pair) *relay.Call {
		mu.Lock()
		defer mu.Unlock()
		pairs[p] = true
		return &relay.Call{
			To:     []netip.AddrPort{vm},
			Joined: func() { mu.Lock(); defer mu.Unlock() },
			Options: relay.Options{OnEnd: func(relay.Result) {
				mu.Lock()
				defer mu.Unlock()
				delete(pairs, p)
			}},
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 300 {
			c := enter(t, d)
			pass(t, c, c, "hello")
			c.Close()
		}
	}()
	for late := time.After(2 * patience); ; {
		select {
		case <-done:
			return
		case <-late:
			t.Error("stuck: figures and Joined wait for each other")
			return
		default:
			mu.Lock()
			for p := range pairs {
				_ = p.Stats()
			}
			mu.Unlock()
		}
	}
}
