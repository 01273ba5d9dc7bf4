package gateway

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestClientsOfAPortComeAndGoAtOnce lets many clients share a port, whose
// filter they change together: whoever was allowed gets through in the same
// instant, and in the end nobody does.
func TestClientsOfAPortComeAndGoAtOnce(t *testing.T) {
	addr := netip.AddrPortFrom(loopbackOf(t), 21000)
	p := openPort(t, addr, "127.0.0.5")
	var all errgroup.Group
	for i := range 40 {
		client := fmt.Sprintf("127.3.0.%d", 1+i)
		all.Go(func() error {
			for range 25 {
				if err := p.letIn(addr.Port(), client); err != nil {
					return err
				}
				if err := admitted(client, addr, time.Second); err != nil {
					return fmt.Errorf("%s was allowed: %w", client, err)
				}
				p.revoke(way{slot: slot{netip.MustParseAddr(client), addr.Port()}})
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	shut(t, "127.3.0.1", addr)
	through(t, "127.0.0.5", addr)
	p.revoke(way{slot: slot{netip.MustParseAddr("127.0.0.5"), addr.Port()}})
	shut(t, "127.0.0.5", addr)
}
