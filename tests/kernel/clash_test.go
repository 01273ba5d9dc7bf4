package kernel

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// samePort is a source port that several clients use.
const samePort = 45678

// Clients that have the same source port get different ones towards their VM; each session
// goes on with its own at another node.
func TestClashingPortsSurvive(t *testing.T) {
	parallel(t)
	for name, s := range map[string]shape{"two networks": {nodes: 2}, "one network": {nodes: 2, flat: true}} {
		t.Run(name, func(t *testing.T) {
			parallel(t)
			if !full && s.flat {
				t.Skip("in the full matrix")
			}
			r := newRig(t, s)
			a, b := r.nodes[0], r.nodes[1]
			c := &crowd{r: r}
			ports := map[int]bool{}
			for i, from := range r.people[:6] {
				s := &session{number: r.sessions, manner: manner(i % int(manners)), from: from, host: r.vms[0], port: samePort}
				r.sessions++
				r.try(r.begin(s))
				c.all = append(c.all, s)
				ports[s.vm.conn.RemoteAddr().(*net.TCPAddr).Port] = true
			}
			if len(ports) != len(c.all) && forwarding() == "kernel" {
				t.Errorf("got %d source ports for %d sessions, want one for each", len(ports), len(c.all))
			}
			c.goOn("begun") // by then the other node was told of the last one, too
			for range 2 {
				undo := cutOff(a)
				r.takes(b)
				c.goOn("at the next node")
				undo()
				r.serves(b)
				a, b = b, a
			}
			c.finish()
		})
	}
}

// connect opens the connection of a client, from a port of its own choice if it has one.
func (r *rig) connect(s *session) (*net.TCPConn, error) {
	if s.port == 0 {
		return r.clients.Dial(s.from, s.tunnel.Addr(), patience)
	}
	var conn net.Conn
	err := r.clients.Do(func() (err error) {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.from, s.port)), Timeout: patience, KeepAlive: -time.Second}
		d.SetMultipathTCP(false)
		conn, err = d.Dial("tcp", s.tunnel.Addr().String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}
