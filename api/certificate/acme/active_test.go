package acme

import (
	"net"
	"testing"
	"time"
)

// silent is an authority that takes connections and says nothing. It tells how many.
func silent(t *testing.T) (url string, calls chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	calls = make(chan struct{}, 100)
	go func() {
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
			calls <- struct{}{}
		}
		for _, c := range open {
			_ = c.Close()
		}
	}()
	return "https://" + l.Addr().String() + "/dir", calls
}

func called(t *testing.T, calls chan struct{}) {
	t.Helper()
	select {
	case <-calls:
	case <-time.After(patience):
		t.Fatal("the authority is not asked")
	}
}

// An attempt that hangs ends with the role, is no failure, and goes on with it at once.
func TestAnAttemptEndsWhenItIsAnotherNodesTurn(t *testing.T) {
	n, cfg := newMember(t), config(t)
	var calls chan struct{}
	cfg.Directory, calls = silent(t)
	n.active.Store(true)
	n.Apply(cfg)
	n.run(t)
	called(t, calls)
	n.active.Store(false)
	eventually(t, "it ends", func() bool { return n.log.count("another node goes on") == 1 })
	if s := n.Status(); s.Err != nil || n.log.count("level=error") > 0 {
		t.Errorf("got %v, want no failure", s.Err)
	}
	n.active.Store(true)
	called(t, calls)
}
