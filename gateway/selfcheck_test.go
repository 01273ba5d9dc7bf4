package gateway

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

func TestCheckSendsBytesThroughATunnel(t *testing.T) {
	r := newRig(t)
	eventually(t, "a working tunnel", func() bool { return r.Check(t.Context()) == nil })
	if list, _ := r.Connections(Filter{}); len(list) != 0 || r.Health().Used != 0 {
		t.Errorf("got %+v listed, want the check to take no grant", list)
	}
	if got := r.audit.count(EventOpen); got != 0 {
		t.Errorf("got %d sessions told of, want none", got)
	}
	eventually(t, "its pair gone", func() bool { return r.engine.Len() == 0 })
}

func TestCheckFailsWithoutTheNodesAddress(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Node = netip.MustParseAddr("192.0.2.1") })
	begin := time.Now()
	err := r.Check(t.Context())
	if err == nil {
		t.Fatal("got a passed check on an address that is not here")
	}
	if took := time.Since(begin); took > prompt {
		t.Errorf("got an answer after %s, want one within a second", took)
	}
	if again := r.Check(t.Context()); again == nil {
		t.Error("got a passed check on the second look")
	}
}

func TestCheckFailsWhenNothingIsRelayed(t *testing.T) {
	r := newRig(t)
	r.stop()
	if err := r.Check(t.Context()); err == nil {
		t.Error("got a passed check from a gateway that has stopped")
	}
}

// A health request that is given up says nothing about the node.
func TestCheckIsNotSpoiltByWhoGaveUp(t *testing.T) {
	r := newRig(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var err error
	for range 5 { // a busy machine may take too long for one
		r.checker.at = time.Time{}
		_ = r.Check(gone)
		if err = r.Check(t.Context()); err == nil {
			return
		}
	}
	t.Errorf("got %v, want a working tunnel", err)
}
