package relay_test

import (
	"io"
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// proxied opens a door whose peers all speak for others, and tells who knocked.
func proxied(t *testing.T) (relay.Door, *relay.Engine, chan relay.Visitor) {
	t.Helper()
	e, vm, visitors := running(t), echoVM(t), make(chan relay.Visitor, 2000)
	d, err := e.Listen(loopback(), relay.DoorOptions{
		Proxied: func(netip.Addr) bool { return true },
		Knock: func(v relay.Visitor, _ relay.Pair) *relay.Call {
			visitors <- v
			if v.Client.Port() == refusedPort {
				return nil
			}
			return &relay.Call{To: []netip.AddrPort{vm}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d, e, visitors
}

// refusedPort is that of clients who are not let in.
const refusedPort = 6666

var someone = netip.MustParseAddrPort("203.0.113.7:4711")

func call(t *testing.T, d relay.Door) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

func TestHeaderAndFirstBytesTogether(t *testing.T) {
	d, _, visitors := proxied(t)
	c := call(t, d)
	if _, err := c.Write(relay.Header(someone, d.Addr(), 1)); err != nil {
		t.Fatal(err)
	}
	pass(t, c, c, "the first bytes")
	want := relay.Visitor{Client: someone, Via: netip.MustParseAddr("127.0.0.1"), Hops: 1}
	if got := <-visitors; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	whole := call(t, d)
	if _, err := whole.Write(append(relay.Header(someone, d.Addr(), 0), "at once"...)); err != nil {
		t.Fatal(err)
	}
	_ = whole.CloseWrite()
	if got, err := io.ReadAll(whole); err != nil || string(got) != "at once" {
		t.Errorf("got %q (%v), want what followed the header, and the end", got, err)
	}
}

func TestHeaderInSingleBytes(t *testing.T) {
	d, _, _ := proxied(t)
	c := call(t, d)
	for _, b := range relay.Header(someone, d.Addr(), 2) {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // so that each comes alone
	}
	pass(t, c, c, "hello")
}

func TestPeersThatDoNotSayWhoTheyBring(t *testing.T) {
	for _, tt := range []struct {
		name   string
		said   []byte
		finish bool
		reset  bool
	}{
		{"garbage", []byte("RFB 003.008\n"), false, true},
		{"version 1", []byte("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), false, true},
		{"half a header and the end", relay.Header(someone, someone, 0)[:20], true, true},
		{"half a header and silence", relay.Header(someone, someone, 0)[:20], false, true},
		{"a client that is refused", relay.Header(netip.AddrPortFrom(someone.Addr(), refusedPort), someone, 0), false, true},
		{"a check of its own", append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20, 0, 0, 0), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, e, _ := proxied(t)
			c := call(t, d)
			if _, err := c.Write(tt.said); err != nil {
				t.Fatal(err)
			}
			if tt.finish {
				_ = c.CloseWrite()
			}
			if n, err := c.Read(make([]byte, 1)); n != 0 || isReset(err) != tt.reset {
				t.Errorf("got %d bytes and %v, want reset: %t", n, err, tt.reset)
			}
			eventually(t, "nothing is left of it", func() bool { return e.Len() == 0 })
		})
	}
}

// A thousand peers that never finish their header keep nobody else waiting.
func TestManySilentPeers(t *testing.T) {
	d, _, _ := proxied(t)
	for range 1000 {
		c := call(t, d)
		if _, err := c.Write(relay.Header(someone, d.Addr(), 0)[:13]); err != nil {
			t.Fatal(err)
		}
	}
	c, start := call(t, d), time.Now()
	if _, err := c.Write(relay.Header(someone, d.Addr(), 0)); err != nil {
		t.Fatal(err)
	}
	pass(t, c, c, "quickly")
	if took := time.Since(start); took > prompt {
		t.Errorf("got an echo after %s, want it within %s", took, prompt)
	}
}

// A real balancer in front: its header names the client.
func TestBehindHAProxy(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("haproxy is not there (Debian: haproxy)")
	}
	d, _, visitors := proxied(t)
	front := behind(t, program, d.Addr())
	c, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	pass(t, c, c, "through a balancer")
	for v := range visitors { // the first ones saw whether HAProxy listens
		if v.Client.String() == c.LocalAddr().String() {
			return
		}
		if len(visitors) == 0 {
			t.Fatalf("got client %s, want %s", v.Client, c.LocalAddr())
		}
	}
}
