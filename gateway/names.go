package gateway

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// namesEvery is how often refused host names are looked up again.
const namesEvery = 30 * time.Second

// names keeps the addresses of the host names no tunnel may reach. A name that
// cannot be resolved keeps the addresses it had.
type names struct {
	resolve func(context.Context, string) ([]netip.Addr, error)
	log     logrus.FieldLogger
	changed chan struct{} // capacity 1

	mu    sync.Mutex
	hosts []string
	addrs map[string][]netip.Addr // replaced, never changed
}

func newNames(resolve func(context.Context, string) ([]netip.Addr, error), log logrus.FieldLogger) *names {
	return &names{resolve: resolve, log: log, changed: make(chan struct{}, 1), addrs: map[string][]netip.Addr{}}
}

// watch sets what to look up; literal addresses among them are left out.
func (n *names) watch(refused []string) {
	n.mu.Lock()
	n.hosts = nil
	for _, r := range refused {
		if _, err := netip.ParseAddr(r); err != nil {
			n.hosts = append(n.hosts, r)
		}
	}
	n.mu.Unlock()
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// known returns the addresses by name. The map is not to be changed.
func (n *names) known() map[string][]netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addrs
}

func (n *names) run(ctx context.Context, refreshed func()) {
	tick := time.NewTicker(namesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.changed:
		}
		if n.lookUp(ctx) {
			refreshed()
		}
	}
}

// lookUp resolves all hosts and tells whether an address has changed.
func (n *names) lookUp(ctx context.Context) bool {
	n.mu.Lock()
	hosts, was := n.hosts, n.addrs
	n.mu.Unlock()
	now := map[string][]netip.Addr{}
	for _, h := range hosts {
		now[h] = was[h]
		c, cancel := context.WithTimeout(ctx, resolveTime)
		addrs, err := n.resolve(c, h)
		cancel()
		if err != nil {
			n.log.WithError(err).WithField("host", h).Warn("cannot resolve a host name that tunnels must not reach")
			continue
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		now[h] = addrs
	}
	n.mu.Lock()
	n.addrs = now
	n.mu.Unlock()
	return !maps.EqualFunc(was, now, slices.Equal[[]netip.Addr])
}
