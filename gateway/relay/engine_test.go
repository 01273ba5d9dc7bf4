package relay

import (
	"net"
	"testing"
)

// Copied pairs that half-closed are watched until they end, and no longer.
func TestEndedPairsAreNotWatched(t *testing.T) {
	e := NewCopying()
	ended := make(chan Result, 1)
	pairs := [2][2]net.Conn{}
	for i := range pairs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if pairs[i][0], err = net.Dial("tcp", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if pairs[i][1], err = l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	client, vm := pairs[0][0], pairs[1][0]
	e.Join(pairs[0][1], pairs[1][1], Options{OnEnd: func(r Result) { ended <- r }})
	client.Close() // both are half-closes first
	vm.Close()
	<-ended
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.pairs)+len(e.halves) != 0 {
		t.Errorf("got %d pairs and %d half-closed ones after the end, want none", len(e.pairs), len(e.halves))
	}
}
