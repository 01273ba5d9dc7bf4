package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vdi-gateway/gateway"
)

// A connection that two nodes list for a moment is listed once, as who carries it says.
func TestAConnectionOfTwoNodesIsListedOnce(t *testing.T) {
	used := gateway.Connection{ID: "a", Node: netip.MustParseAddr("10.0.0.2"), ConnectedAt: time.Unix(100, 0)}
	opened := gateway.Connection{ID: "a", Node: netip.MustParseAddr("10.0.0.1")}
	other := gateway.Connection{ID: "b", Node: netip.MustParseAddr("10.0.0.1")}
	for _, list := range [][]gateway.Connection{{opened, other, used}, {used, other, opened}} {
		want := []gateway.Connection{used, other}
		if diff := cmp.Diff(want, once(list), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
