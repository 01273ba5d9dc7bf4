package vrrp

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"vdi-gateway/tests/lab"
	product "vdi-gateway/vrrp"
)

const (
	strangerAddr = "10.99.0.66"
	strangerVIP  = "10.99.0.101"
)

// forgery is an advertisement of somebody else.
type forgery struct {
	product.Advertisement
	hops   int
	damage func([]byte)
}

// Another product with the same router id is named in the log and in health of every
// node, and disturbs nobody.
func TestStrangerWithTheSameRouterID(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		ad   product.Advertisement
		says string
	}{
		{"other addresses", product.Advertisement{Version: 3, Priority: 90, Interval: interval}, strangerVIP},
		{"another version", product.Advertisement{Version: 2, Priority: 90, Interval: time.Second}, "version 2"},
		{"another version, higher priority", product.Advertisement{Version: 2, Priority: 255, Interval: time.Second}, "version 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.ad.VRID, tt.ad.Addrs = routerID, []netip.Addr{netip.MustParseAddr(strangerVIP)}
			steady(t, func(t testing.TB) { newStrangers(t).meet(tt.ad, tt.says) })
		})
	}
}

// meet has a stranger come, and wants every node to say so.
func (s *strangers) meet(ad product.Advertisement, says string) {
	s.t.Helper()
	owner, at := s.settled(), time.Now()
	s.forge(forgery{Advertisement: ad, hops: 255})
	for _, m := range s.nodes {
		eventually(s.t, "health names the stranger", func() bool {
			detail, ok := m.health().check("router_id")
			return !ok && contains(detail, strangerAddr, says, "router id")
		})
		eventually(s.t, "the log names the stranger", func() bool {
			return logged(m.node, "warning", strangerAddr, says)
		})
	}
	s.keeps(owner, at, time.Since(at)+2*masterDown())
}

// What must not be heeded is not, although it would win.
func TestForgedAdvertisementsAreNotHeeded(t *testing.T) {
	t.Parallel()
	steady(t, beForged)
}

func beForged(t testing.TB) {
	t.Helper()
	winner := product.Advertisement{
		Version: 3, VRID: routerID, Priority: 255, Interval: interval, Addrs: []netip.Addr{netip.MustParseAddr(four)},
	}
	other := winner
	other.VRID++
	r := newStrangers(t)
	owner := r.settled()
	for _, tt := range []struct {
		name string
		f    forgery
	}{
		{"from beyond a router", forgery{winner, 254, nil}},
		{"with a wrong checksum", forgery{winner, 255, func(b []byte) { b[7]++ }}},
		{"cut off", forgery{winner, 255, func(b []byte) { b[3]++ }}},
		{"of another type", forgery{winner, 255, func(b []byte) { b[0]++ }}},
		{"with another router id", forgery{other, 255, nil}},
	} {
		r.t.Log(tt.name)
		at := time.Now()
		r.forge(tt.f)
		r.keeps(owner, at, masterDown())
	}
}

// strangers is a cluster with one host more.
type strangers struct {
	*rig
	host *lab.Host
}

func newStrangers(t testing.TB) *strangers {
	t.Helper()
	r := newCluster(t, four, 2, nil)
	return &strangers{r, r.network.Host("stranger", strangerAddr+"/24")}
}

// forge sends an advertisement again and again until the test ends.
func (s *strangers) forge(f forgery) {
	s.t.Helper()
	group := net.IPAddr{IP: net.ParseIP(allRouters4)}
	message := f.Marshal(product.ChecksumPseudo, s.host.Addr(), netip.MustParseAddr(allRouters4))
	if f.damage != nil {
		f.damage(message)
	}
	var conn net.PacketConn
	s.try(s.host.Do(func() (err error) {
		if conn, err = net.ListenPacket("ip4:112", s.host.Addr().String()); err == nil { //nolint:noctx // the test's end closes it
			err = ipv4.NewPacketConn(conn).SetMulticastTTL(f.hops)
		}
		return err
	}))
	s.t.Cleanup(func() { _ = conn.Close() })
	go func() {
		for {
			if _, err := conn.WriteTo(message, &group); isClosed(err) {
				return
			}
			time.Sleep(interval)
		}
	}()
}
