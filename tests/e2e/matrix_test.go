//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// family is a way through the gateway.
type family struct {
	name  string
	start func(*testing.T, node.Config) *place
	vm    string
}

// straight tells whether client and VM have addresses of one family; else the gateway
// relays, whoever moves the bytes of others.
func (f family) straight() bool { return !strings.Contains(f.name, " to ") }

func families() []family {
	return []family{
		{"IPv4", newPlace, vmAddr},
		{"IPv6", newPlace6, vmAddr6},
		{"IPv4 to IPv6", newPlace, vmAddr6},
		{"IPv6 to IPv4", newPlace6, vmAddr},
	}
}

// lossy is how far a colour of 16 bits may be from the one that was drawn.
const lossy = 8

func TestMatrixOfDesktops(t *testing.T) {
	for _, f := range families() {
		for _, depth := range []int{24, 16} {
			for _, password := range []string{"", "secret12"} {
				t.Run(fmt.Sprintf("%s, depth %d, password %q", f.name, depth, password), func(t *testing.T) {
					p := f.start(t, node.Config{})
					d := startDesktop(t, p.vmHost, addrOf(f.vm), depth, password)
					slack := xvnc.Exact
					if depth == 16 {
						slack = lossy
					}
					tunnel := open(t, p.node.Client(p.client), d.Addr)
					view(t, p.client, tunnel, password, d.Size, slack)
					// gvnccapture takes neither a password from a file nor
					// a literal IPv6 address, and shows 16 bits wrong also
					// without a gateway.
					if password == "" && p.gate.Addr().Is4() && depth == 24 {
						tunnel := open(t, p.node.Client(p.client), d.Addr)
						xvnc.WantPattern(t, xvnc.Capture(t, p.client.Do, xvnc.Login{Server: tunnel.Addr()}), d.Size, slack)
					}
				})
			}
		}
	}
}

func TestMatrixOfHalfCloses(t *testing.T) {
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			p := f.start(t, node.Config{})
			echoing := serve(t, p.vmHost, netipPort(f.vm, 7000).String(), echo)
			for _, size := range []int{0, 1, 65535, 1 << 20, 64 << 20} {
				want := noise(size)
				speaking := serve(t, p.vmHost, netipPort(f.vm, uint16(7001+size%97)).String(), func(c *net.TCPConn) {
					_, _ = c.Write(want)
					_ = c.CloseWrite()
					_, _ = io.Copy(io.Discard, c)
				})
				t.Run(fmt.Sprintf("%d bytes, the client ends first", size), func(t *testing.T) {
					c := enter(t, p.client, open(t, p.node.Client(p.client), echoing.addr))
					go func() { _, _ = c.Write(want); _ = c.CloseWrite() }()
					wantAll(t, c, want)
				})
				t.Run(fmt.Sprintf("%d bytes, the VM ends first", size), func(t *testing.T) {
					c := enter(t, p.client, open(t, p.node.Client(p.client), speaking.addr))
					wantAll(t, c, want)
					if _, err := c.Write([]byte("still heard")); err != nil {
						t.Errorf("the other way: got %v, want it open", err)
					}
				})
			}
		})
	}
}

func wantAll(t *testing.T, c io.Reader, want []byte) {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes and %v, want all %d and the end of the stream", len(got), err, len(want))
	}
}

func TestMatrixOfVanishingPeers(t *testing.T) {
	for _, f := range families() {
		for _, gone := range []string{"client", "VM"} {
			for _, busy := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, busy %v", f.name, gone, busy), func(t *testing.T) {
					t.Parallel()
					p := f.start(t, shortTimeouts())
					v := serve(t, p.vmHost, netipPort(f.vm, 7000).String(), func(c *net.TCPConn) { stayConnected(c, busy) })
					c, tunnel := talk(t, p, v.addr)
					if busy {
						go chatter(c)
					}
					host := map[string]*lab.Host{"client": p.client, "VM": p.vmHost}[gone]
					if err := host.Unplug(); err != nil {
						t.Fatal(err)
					}
					wantGone(t, p.node, tunnel, node.Kernel() && f.straight())
				})
			}
		}
	}
}

// chatter keeps sending until the connection ends.
func chatter(c *net.TCPConn) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
	}
}

// TestManyClientsComeAndGo is an hour of an office in a minute: hundreds of
// addresses that open, use and leave tunnels in every way, and a node that is
// empty in the end.
func TestManyClientsComeAndGo(t *testing.T) {
	p := newPlace(t, node.Config{})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	const addresses, times = 100, 100
	var own []string
	for i := range addresses {
		own = append(own, fmt.Sprintf("10.99.0.%d/24", 100+i))
	}
	office := p.net.Host("office", own...)
	var all errgroup.Group
	for i, from := range office.Addrs() {
		client := p.node.Client(office, from)
		all.Go(func() error {
			defer client.Close()
			for n := range times {
				if err := comeAndGo(t, office, client, v, i+n); err != nil {
					return fmt.Errorf("client %s, time %d: %w", from, n, err)
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	eventually(t, "no connection is left", func() bool {
		list, err := p.node.Dispatcher().Connections(t.Context())
		return err == nil && len(list) == 0
	})
}

// comeAndGo opens a tunnel, uses it and leaves it in one of several ways.
func comeAndGo(t *testing.T, host *lab.Host, client *node.Client, v *vm, way int) error {
	tunnel, err := client.Open(t.Context(), node.OpenRequest{
		VMAddress: v.addr.Addr().String(), VMPort: int(v.addr.Port()), TTLS: 5, Probe: way%2 == 0,
	})
	if err != nil {
		return err
	}
	c, err := host.Dial(addrOf(tunnel.ClientAddr), tunnel.Addr(), patience)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if err := echoes(c); err != nil {
		return err
	}
	switch way % 4 {
	case 0:
		return c.SetLinger(0)
	case 1:
		return errors.Join(c.CloseWrite(), wantEnd(c))
	case 2:
		return client.GiveBack(t.Context(), tunnel)
	default:
		return nil
	}
}
