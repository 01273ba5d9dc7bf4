package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/gateway/relay"
	"vdi-gateway/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

// patience bounds failures.
const patience = 20 * time.Second

var (
	virtual = netip.MustParseAddr("10.9.0.10")
	inside  = netip.MustParseAddr("10.8.0.10")
)

// ended is what an owner heard.
type ended struct {
	flow *kernel.Flow
	relay.Result
}

// owner writes down what it is told.
type owner struct {
	busy           sync.Mutex // held: it does not answer
	refuse         atomic.Bool
	opened, joined chan *kernel.Flow
	ended          chan ended
}

func (o *owner) Opened(f *kernel.Flow) bool {
	o.busy.Lock()
	defer o.busy.Unlock()
	o.opened <- f
	return !o.refuse.Load()
}

func (o *owner) Joined(f *kernel.Flow)                     { o.joined <- f }
func (o *owner) Ended(f *kernel.Flow, result relay.Result) { o.ended <- ended{f, result} }

// shared is what nodes know in common: who told last of a flow has it.
type shared struct {
	mu      sync.Mutex
	owner   map[string]*node
	records map[string]kernel.Record
}

func (s *shared) all() (all []kernel.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		all = append(all, r)
	}
	return all
}

// node is a host with a data path.
type node struct {
	serving bool // it has the addresses
	*lab.Host
	*kernel.Kernel
	owner  *owner
	shared *shared
	stop   func()
	buffer int // of events; 0: enough
	log    logrus.FieldLogger
	broken atomic.Bool  // nftables cannot be reached
	asked  atomic.Int32 // how often it was tried
}

// within reaches the node's nftables.
func (n *node) within(f func() error) error {
	n.asked.Add(1)
	if n.broken.Load() {
		return errors.New("broken for a test")
	}
	return n.Do(f)
}

func (n *node) Spread(r kernel.Record) {
	n.shared.mu.Lock()
	defer n.shared.mu.Unlock()
	n.shared.owner[r.ID], n.shared.records[r.ID] = n, r
}

func (n *node) Forget(id string) {
	n.shared.mu.Lock()
	defer n.shared.mu.Unlock()
	if n.shared.owner[id] == n {
		delete(n.shared.records, id)
	}
}

// world is a client, two nodes and a VM, in two subnets.
type world struct {
	t          *testing.T
	client, vm *lab.Host
	a, b       *node
	listener   *net.TCPListener
	cfg        kernel.Config
	grant      kernel.Grant
}

func newWorld(t *testing.T) *world {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	n := lab.New(t)
	w := &world{t: t, client: n.Host("client", "10.9.0.100/24"), vm: n.Host("vm", "10.8.0.50/24")}
	w.cfg = kernel.Config{
		Enabled: true, Poll: time.Hour, // so that events have to do it
		Rules: rules.Config{
			Virtual: []netip.Addr{virtual}, Inside: []netip.Addr{inside}, FirstPort: 5900, LastPort: 5999,
			Clients: rules.Everybody(), Mark: 0x76646901, Condemned: 0x766469ff,
		},
	}
	w.grant = kernel.Grant{Client: w.client.Addr(), Port: 5901, VM: netip.AddrPortFrom(w.vm.Addr(), 5900)}
	var err error
	if w.listener, err = w.vm.Listen(w.grant.VM.String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.listener.Close() })
	s := &shared{owner: map[string]*node{}, records: map[string]kernel.Record{}}
	w.a = &node{Host: n.Host("a", "10.9.0.1/24", "10.8.0.1/24"), shared: s}
	w.b = &node{Host: n.Host("b", "10.9.0.2/24", "10.8.0.2/24"), shared: s}
	w.start(w.a)
	w.serve(w.a)
	return w
}

// start starts the data path of a node, with the grant.
func (w *world) start(n *node) {
	w.t.Helper()
	w.apply(n)
	w.allow(n, w.grant)
	w.run(n)
}

// apply makes the data path of a node.
func (w *world) apply(n *node) {
	w.t.Helper()
	n.owner = &owner{opened: make(chan *kernel.Flow, 9999), joined: make(chan *kernel.Flow, 9999), ended: make(chan ended, 9999)}
	n.Kernel = kernel.New(kernel.Deps{Owner: n.owner, Directory: n, Within: n.within, Log: n.log})
	n.SetBuffer(n.buffer)
	if err := n.Apply(w.cfg); errors.Is(err, kernel.ErrUnable) {
		w.t.Skip(err)
	} else if err != nil {
		w.t.Fatal(err)
	}
	err := n.Do(func() error {
		return errors.Join(os.WriteFile("/proc/sys/net/ipv4/conf/all/send_redirects", []byte("0"), 0),
			os.WriteFile("/proc/sys/net/ipv4/conf/eth0/send_redirects", []byte("0"), 0))
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) run(n *node) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Kernel.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: got %v, want nil", err)
		}
	})
	w.t.Cleanup(n.stop)
	if n.serving {
		w.carry(n)
	}
}

// carry makes flows a node's own.
func (w *world) carry(n *node, records ...kernel.Record) {
	w.t.Helper()
	failed, err := n.Inject(w.t.Context(), records)
	if w.cfg.Enabled && (err != nil || len(failed) > 0) {
		w.t.Fatal(failed, err)
	}
}

// allow has a grant in force at a node.
func (w *world) allow(n *node, grants ...kernel.Grant) {
	w.t.Helper()
	if err := n.Allow(grants...); err != nil {
		w.t.Fatal(err)
	}
	w.settle(n)
}

func (w *world) settle(n *node) {
	w.t.Helper()
	if err := n.Settle(); err != nil {
		w.t.Fatal(err)
	}
}

// serve gives a node the addresses.
func (w *world) serve(n *node) {
	w.t.Helper()
	if err := errors.Join(n.Take(virtual), n.Take(inside), w.client.Forget(), w.vm.Forget()); err != nil {
		w.t.Fatal(err)
	}
	n.serving = true
	w.carry(n)
}

type session struct {
	client, vm *net.TCPConn
	flow       *kernel.Flow
}

// session opens a connection through a.
func (w *world) session() session {
	w.t.Helper()
	c, v := w.connect()
	return session{c, v, heard(w.t, w.a.owner.joined, "a flow that is joined")}
}

func (w *world) connect() (client, vm *net.TCPConn) {
	w.t.Helper()
	c, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, 5901), patience)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = w.listener.SetDeadline(time.Now().Add(patience))
	v, err := w.listener.AcceptTCP()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _, _ = c.Close(), v.Close() })
	return c, v
}

func heard[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("got nothing, want %s", what)
		panic("not reached")
	}
}

// says has one end say something that the other one has to hear.
func says(from, to net.Conn, text string) error {
	_, _ = from.SetDeadline(time.Now().Add(patience)), to.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(from, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("got %q, want %q", got, text)
	}
	return nil
}

// table tells whether a node has a table of ours.
func (w *world) table(n *node) bool {
	w.t.Helper()
	tables, err := n.Host.Run(w.t.Context(), exec.Command("nft", "list", "tables"))
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Contains(tables, "vdi-gateway")
}

// eventually polls until f is true.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("got no %s within %s", what, patience)
		}
	}
}

// refused fails unless a connection to a port is refused.
func (w *world) refused(what string, port uint16) {
	w.t.Helper()
	_, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, port), patience)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		w.t.Errorf("%s: got %v, want it refused", what, err)
	}
}

// relayed opens a connection to a socket of the node on a port of the virtual address.
func (w *world) relayed(what string, l *net.TCPListener, port uint16) (client, here *net.TCPConn) {
	w.t.Helper()
	client, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, port), patience)
	if err != nil {
		w.t.Fatalf("%s: got %v, want a connection", what, err)
	}
	_ = l.SetDeadline(time.Now().Add(patience))
	here, err = l.AcceptTCP()
	if err != nil {
		w.t.Fatalf("%s: got %v, want a connection at the socket", what, err)
	}
	w.t.Cleanup(func() { _, _ = client.Close(), here.Close() })
	return client, here
}
