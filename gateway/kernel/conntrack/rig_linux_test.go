package conntrack_test

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
	"testing"
	"time"

	"go.uber.org/goleak"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/tests/lab"
)

// patience is how long a test waits for what has to happen. It is a bound for failures.
const patience = 20 * time.Second

const (
	ours      = 0x7    // the mark of flows
	condemned = 0xdead // of those that are to end
)

func TestMain(m *testing.M) {
	os.Exit(lab.Main(func() int {
		code := m.Run()
		if err := goleak.Find(); code == 0 && err != nil {
			fmt.Println(err)
			return 1
		}
		return code
	}))
}

// ends are the addresses of one family: a client, the virtual address, the inside
// address, a VM.
type ends struct {
	name                        string
	client, virtual, inside, vm netip.Addr
}

func families() []ends {
	a := netip.MustParseAddr
	all := []ends{{"IPv4", a("10.9.0.100"), a("10.9.0.10"), a("10.8.0.10"), a("10.8.0.50")}}
	if lab.IPv6() {
		all = append(all, ends{"IPv6", a("fd09::100"), a("fd09::10"), a("fd08::10"), a("fd08::50")})
	}
	return all
}

// flow is the one of a client's port to the VM's VNC port.
func (e ends) flow(port uint16) conntrack.Flow {
	f := conntrack.Translated(netip.AddrPortFrom(e.client, port), netip.AddrPortFrom(e.virtual, 5901),
		netip.AddrPortFrom(e.inside, port), netip.AddrPortFrom(e.vm, 5900))
	f.Mark, f.Timeout = ours, 300*time.Second
	return f
}

// host is one machine alone, as far as conntrack goes.
func host(t testing.TB) *lab.Host { return lab.New(t).Host("node", "10.9.0.1/24", "fd09::1/64") }

// open opens the table of a host.
func open(t testing.TB, h *lab.Host) *conntrack.Table {
	t.Helper()
	var table *conntrack.Table
	err := h.Do(func() (err error) {
		if err := conntrack.Check(); err != nil {
			return err
		}
		table, err = conntrack.Open()
		return err
	})
	if errors.Is(err, conntrack.ErrNoConntrack) || errors.Is(err, conntrack.ErrNoNAT) || errors.Is(err, conntrack.ErrNotPermitted) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Close() })
	return table
}

// none fails the test unless all went well.
func none(t testing.TB, failed []conntrack.Failure, err error) {
	t.Helper()
	if err != nil || len(failed) > 0 {
		t.Fatalf("got %d failures, such as %v, and %v, want none", len(failed), failed[:min(3, len(failed))], err)
	}
}

func dump(t testing.TB, table *conntrack.Table, f conntrack.Filter) []conntrack.Flow {
	t.Helper()
	flows, err := table.Dump(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return flows
}

// tool runs a command on a host and skips the test where there is none.
func tool(t testing.TB, h *lab.Host, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	out, err := h.Run(t.Context(), exec.Command(name, args...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// world is a client, two nodes and a VM on one switch, in two subnets that do not know
// each other: what reaches the other one was carried by a node.
type world struct {
	t              *testing.T
	ends           ends
	client, a, b   *lab.Host
	vm             *lab.Host
	tableA, tableB *conntrack.Table
	listener       *net.TCPListener
}

// rules is what the data path does, by hand.
const rules = `
table inet gw {
	chain output { type filter hook output priority raw; meta mark 0xdead notrack; }
	chain guard {
		type filter hook prerouting priority -50;
		IP daddr INSIDE ct state { new, invalid } drop
		IP daddr VIRTUAL ct state invalid drop
	}
	chain pre {
		type nat hook prerouting priority dstnat;
		IP daddr VIRTUAL tcp dport 5901 ct mark set 0x7 dnat IP to TARGET
	}
	chain post { type nat hook postrouting priority srcnat; ct mark 0x7 snat IP to INSIDE; }
	chain passing { type filter hook forward priority filter; ct mark 0xdead meta l4proto tcp reject with tcp reset; }
}
`

func newWorld(t *testing.T, e ends) *world {
	n := lab.New(t)
	w := &world{t: t, ends: e}
	w.client = n.Host("client", "10.9.0.100/24", "fd09::100/64")
	w.a = n.Host("a", "10.9.0.1/24", "10.8.0.1/24", "fd09::1/64", "fd08::1/64")
	w.b = n.Host("b", "10.9.0.2/24", "10.8.0.2/24", "fd09::2/64", "fd08::2/64")
	w.vm = n.Host("vm", "10.8.0.50/24", "fd08::50/64")
	w.tableA, w.tableB = w.node(w.a), w.node(w.b)
	w.serve(w.a)
	var err error
	if w.listener, err = w.vm.Listen(netip.AddrPortFrom(e.vm, 5900).String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.listener.Close() })
	return w
}

// node makes a host forward what has a flow.
func (w *world) node(h *lab.Host) *conntrack.Table {
	w.t.Helper()
	table := open(w.t, h)
	err := h.Do(func() error {
		_, err := conntrack.Tune(conntrack.Tuning{IPv4: true, IPv6: lab.IPv6(), Liberal: true})
		// Both subnets are on one wire here: nobody is to learn of a shorter way.
		return errors.Join(err, os.WriteFile("/proc/sys/net/ipv4/conf/all/send_redirects", []byte("0"), 0),
			os.WriteFile("/proc/sys/net/ipv4/conf/eth0/send_redirects", []byte("0"), 0))
	})
	if err != nil {
		w.t.Fatal(err)
	}
	family, target := "ip", w.ends.vm.String()+":5900"
	if w.ends.vm.Is6() {
		family, target = "ip6", "["+w.ends.vm.String()+"]:5900"
	}
	text := strings.NewReplacer("IP ", family+" ", "VIRTUAL", w.ends.virtual.String(), "INSIDE", w.ends.inside.String(), "TARGET", target).Replace(rules)
	w.nft(h, text)
	return table
}

func (w *world) nft(h *lab.Host, text string) {
	w.t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		w.t.Skip("nft is not installed")
	}
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := h.Run(w.t.Context(), cmd); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

// serve gives a node the addresses, as a failover does.
func (w *world) serve(h *lab.Host) {
	w.t.Helper()
	err := errors.Join(h.Take(w.ends.virtual), h.Take(w.ends.inside), w.client.Forget(), w.vm.Forget())
	if err != nil {
		w.t.Fatal(err)
	}
}

// session is a connection, at both its ends.
type session struct{ client, vm *net.TCPConn }

func (w *world) session() session {
	w.t.Helper()
	c, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(w.ends.virtual, 5901), patience)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = w.listener.SetDeadline(time.Now().Add(patience))
	v, err := w.listener.AcceptTCP()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _, _ = c.Close(), v.Close() })
	return session{c, v}
}

// says has one end say something that the other one has to hear.
func says(from, to net.Conn, text string) error {
	_ = from.SetDeadline(time.Now().Add(patience))
	_ = to.SetDeadline(time.Now().Add(patience))
	if _, err := from.Write([]byte(text)); err != nil {
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

// heard collects events. Its channel takes all that a test can cause.
func listen(t *testing.T, h *lab.Host, c conntrack.ListenConfig) (*conntrack.Listener, <-chan conntrack.Event) {
	t.Helper()
	var l *conntrack.Listener
	if err := h.Do(func() (err error) { l, err = conntrack.Listen(c); return err }); err != nil {
		t.Fatal(err)
	}
	events := make(chan conntrack.Event, 1<<17)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx, func(e conntrack.Event) { events <- e }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the listener ended with %v, want nil when it is asked to", err)
		}
		_ = l.Close()
	})
	return l, events
}

// await takes events until one fits.
func await(t *testing.T, events <-chan conntrack.Event, what string, fits func(conntrack.Event) bool) conntrack.Event {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case e := <-events:
			if fits(e) {
				return e
			}
		case <-late:
			t.Fatalf("no event: %s", what)
		}
	}
}
