package api

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/gateway"
)

// Whom a trusted peer speaks for is judged as those who come by themselves are. The
// peer itself always comes in.
func TestWhoMayComeIn(t *testing.T) {
	friend := netip.MustParseAddr("203.0.113.1")
	n := newNodeWith(t, func(d *Deps) { d.Admit = func(a netip.Addr) bool { return a == friend } },
		func(c *Config, _ *gateway.Config) { c.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	for _, tt := range []struct {
		name, from, header string
		want               bool
	}{
		{"a stranger", "127.0.0.2", "", false},
		{"the trusted peer", "127.0.0.1", "", true},
		{"the peer for a friend", "127.0.0.1", "PROXY TCP4 203.0.113.1 10.0.0.1 4711 8000\r\n", true},
		{"the peer for a stranger", "127.0.0.1", "PROXY TCP4 203.0.113.2 10.0.0.1 4711 8000\r\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := n.answersTo(tt.from, tt.header); got != tt.want {
				t.Errorf("got an answer: %t, want %t", got, tt.want)
			}
		})
	}
}

// answersTo tells whether livez answers a client of an address.
func (n *node) answersTo(from, header string) bool {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.DialContext(n.t.Context(), "tcp", n.addr)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(c, header+"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	got, _ := io.ReadAll(c)
	return len(got) > 0
}
