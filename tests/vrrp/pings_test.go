package vrrp

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"vdi-gateway/tests/lab"
)

const (
	echoPort  = 7
	pingEvery = 2 * time.Millisecond
	// pingsMiss is how long no answer comes before that counts.
	pingsMiss = 50 * time.Millisecond
	// pingsGood is how long answers come before that counts.
	pingsGood = 200 * time.Millisecond
)

// pings are questions of a client to the virtual address, which the host answers that
// gets them: so it is seen where the client's table of neighbours leads.
type pings struct {
	r     *rig
	began time.Time
	mu    sync.Mutex
	given []answer
}

type answer struct {
	at   time.Time
	from *lab.Host
}

// ping asks until the test ends. All nodes have been added before.
func (r *rig) ping() *pings {
	r.t.Helper()
	p, hosts := &pings{r: r, began: time.Now()}, map[netip.Addr]*lab.Host{}
	for _, m := range r.nodes {
		for _, a := range m.host.Addrs() {
			hosts[a] = m.host
		}
		conn := r.packets(m.host, echoPort)
		go func() {
			b := make([]byte, 8)
			for {
				_, from, err := conn.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = conn.WriteTo(b[:1], from) // it comes from the host's own address
			}
		}()
	}
	conn := r.packets(r.client, 0)
	go p.ask(conn)
	go p.listen(conn, hosts)
	return p
}

// packets opens a socket for UDP on a host, until the test ends.
func (r *rig) packets(h *lab.Host, port uint16) (conn net.PacketConn) {
	r.t.Helper()
	r.try(h.Do(func() (err error) {
		var lc net.ListenConfig
		conn, err = lc.ListenPacket(context.Background(), "udp", netip.AddrPortFrom(netip.IPv6Unspecified(), port).String())
		return err
	}))
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (p *pings) ask(conn net.PacketConn) {
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.r.virtual, echoPort))
	for {
		if _, err := conn.WriteTo([]byte("?"), to); isClosed(err) {
			return // else nobody may have the address
		}
		time.Sleep(pingEvery)
	}
}

func (p *pings) listen(conn net.PacketConn, hosts map[netip.Addr]*lab.Host) {
	b := make([]byte, 8)
	for {
		_, from, err := conn.ReadFrom(b)
		if isClosed(err) {
			return
		}
		if u, ok := from.(*net.UDPAddr); ok && err == nil {
			p.mu.Lock()
			p.given = append(p.given, answer{time.Now(), hosts[u.AddrPort().Addr().Unmap()]})
			p.mu.Unlock()
		}
	}
}

// reach wants the client to reach one host, and no other, within the slack after that
// host became the only owner.
func (p *pings) reach(h *lab.Host) {
	p.r.t.Helper()
	since := p.r.lastChange()
	if since.Before(p.began) {
		since = p.began
	}
	var first time.Time
	eventually(p.r.t, "the client reaches "+h.Name(), func() bool {
		first = p.first(h, since)
		return !first.IsZero() && time.Since(first) >= pingsGood
	})
	took := first.Sub(since)
	p.r.t.Logf("the client reaches %s %s after that one alone has the address", h.Name(), took)
	if took > slack {
		p.r.t.Errorf("the client reaches %s alone: got it after %s, want it within %s", h.Name(), took, slack)
	}
}

// first is since when only the host has answered, and always; zero: it does not.
func (p *pings) first(h *lab.Host, since time.Time) (first time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var last time.Time
	for _, a := range p.given {
		switch {
		case a.at.Before(since):
			continue
		case a.from != h:
			first = time.Time{}
		case first.IsZero() || a.at.Sub(last) > pingsMiss:
			first = a.at
		}
		last = a.at
	}
	if time.Since(last) > pingsMiss {
		return time.Time{}
	}
	return first
}
