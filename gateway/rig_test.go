package gateway

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
)

const (
	// patience is how long a test waits for what has to happen. It is a
	// bound for failures: nothing waits for it when all is well.
	patience = 15 * time.Second
	// prompt is five times what the contract gives a disconnect.
	prompt = 2500 * time.Millisecond
)

func TestMain(m *testing.M) {
	if os.Getenv(starvedChild) != "" {
		os.Exit(m.Run()) // it runs a single test, which checks for itself
	}
	goleak.VerifyTestMain(m)
}

// rig is a running gateway on a loopback address of its own.
type rig struct {
	*Gateway
	t       testing.TB
	addr    netip.Addr
	cfg     Config
	audit   *journal
	tickets *memoryTickets
	stop    func() // ends Run and waits for it
}

// newRig starts a gateway that allows every port of 127.0.0.1.
func newRig(t testing.TB, changes ...func(*Config)) *rig {
	t.Helper()
	addr := loopbackOf(t)
	return startRig(t, addr, configFor(addr, changes...), Deps{})
}

func startRig(t testing.TB, addr netip.Addr, cfg Config, deps Deps) *rig {
	t.Helper()
	r := &rig{t: t, addr: addr, cfg: cfg, audit: &journal{}, tickets: newMemoryTickets()}
	deps.Log, deps.Tickets, deps.Audit = silent(), r.tickets, r.audit.add
	r.Gateway = New(deps)
	if err := r.Apply(r.cfg); err != nil {
		t.Fatalf("apply: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = r.Run(ctx) }()
	r.stop = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the gateway did not stop")
		}
	}
	t.Cleanup(r.stop)
	return r
}

func configFor(addr netip.Addr, changes ...func(*Config)) Config {
	cfg := Config{
		Enabled: true, Node: addr, Listen: []netip.Addr{addr}, PublicAddr: addr.String(),
		PortStart: 21000, PortStop: 21099,
		Timeouts: Timeouts{
			Grant: 30 * time.Second, Dial: 3 * time.Second, HalfClose: 30 * time.Second,
			Keepalive: 30 * time.Second, UserTimeout: 45 * time.Second,
		},
		Targets: Targets{Allow: []Target{{Prefix: netip.MustParsePrefix("127.0.0.1/32")}}, Ports: anyPort},
	}
	for _, change := range changes {
		change(&cfg)
	}
	return cfg
}

var anyPort = []PortRange{{1, 65535}}

// loopbackOf gives each test an address of its own, so that the same range is
// free in all of them, whatever else runs on this machine.
func loopbackOf(t testing.TB) netip.Addr {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, os.Getpid(), t.Name())
	sum := h.Sum32()
	return netip.AddrFrom4([4]byte{127, byte(100 + sum>>16%100), byte(sum >> 8), byte(2 + sum%250)})
}

func silent() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// change applies the rig's configuration with a difference.
func (r *rig) change(change func(*Config)) error {
	cfg := r.cfg
	change(&cfg)
	err := r.Apply(cfg)
	if err == nil {
		r.cfg = cfg
	}
	return err
}

// ask opens a tunnel from a client address to a VM.
func (r *rig) ask(client string, vm netip.AddrPort, changes ...func(*OpenRequest)) (Grant, error) {
	req := OpenRequest{Client: netip.MustParseAddr(client), VMAddr: vm.Addr().String(), VMPort: vm.Port()}
	for _, change := range changes {
		change(&req)
	}
	return r.Open(context.Background(), req)
}

func (r *rig) granted(client string, vm netip.AddrPort, changes ...func(*OpenRequest)) Grant {
	r.t.Helper()
	g, err := r.ask(client, vm, changes...)
	if err != nil {
		r.t.Fatalf("open: %v", err)
	}
	return g
}

func as(user string) func(*OpenRequest)         { return func(q *OpenRequest) { q.User = user } }
func channels(n int) func(*OpenRequest)         { return func(q *OpenRequest) { q.Channels = n } }
func overWebSocket(q *OpenRequest)              { q.Mode = ModeWebSocket }
func probing(q *OpenRequest)                    { q.Probe = true }
func living(d time.Duration) func(*OpenRequest) { return func(q *OpenRequest) { q.TTL = d } }

// the lists the one connection of that id; false when there is none.
func (r *rig) the(id ConnectionID) (Connection, bool) {
	list, _ := r.Connections(Filter{})
	for _, c := range list {
		if c.ID == id {
			return c, true
		}
	}
	return Connection{}, false
}

// eventually polls until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
