package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// allowing makes the allow-list of "prefix" or "prefix ports" entries.
func allowing(entries ...string) []Target {
	var list []Target
	for _, e := range entries {
		prefix, ports, own := strings.Cut(e, " ")
		t := Target{Prefix: netip.MustParsePrefix(prefix)}
		if own {
			t.Ports = []PortRange{}
			for p := range strings.SplitSeq(ports, ",") {
				var r PortRange
				if n, _ := fmt.Sscanf(p, "%d-%d", &r.First, &r.Last); n == 1 {
					r.Last = r.First
				}
				t.Ports = append(t.Ports, r)
			}
		}
		list = append(list, t)
	}
	return list
}

func TestPolicy(t *testing.T) {
	everything := []string{"0.0.0.0/0", "::/0"}
	for _, tt := range []struct {
		name    string
		allow   []string
		refused []string
		target  string
		want    string // part of the refusal; "" allowed
	}{
		{"inside a network", []string{"10.0.0.0/8"}, nil, "10.1.2.3:5900", ""},
		{"the network's last", []string{"10.0.0.0/8"}, nil, "10.255.255.255:5900", ""},
		{"outside", []string{"10.0.0.0/8"}, nil, "11.0.0.0:5900", "no network"},
		{"IPv6", []string{"fc00::/7"}, nil, "[fd00::5]:5900", ""},
		{"nothing allowed", nil, nil, "10.1.2.3:5900", "no network"},
		{"another family", []string{"0.0.0.0/0"}, nil, "[2001:db8::1]:5900", "no network"},

		{"a default port", []string{"10.0.0.0/8"}, nil, "10.1.2.3:3389", ""},
		{"the end of a range", []string{"10.0.0.0/8"}, nil, "10.1.2.3:32767", ""},
		{"behind the range", []string{"10.0.0.0/8"}, nil, "10.1.2.3:32768", "port 32768"},
		{"ssh", []string{"10.0.0.0/8"}, nil, "10.1.2.3:22", "port 22"},
		{"own ports", []string{"10.0.0.0/8 22"}, nil, "10.1.2.3:22", ""},
		{"own ports replace the others", []string{"10.0.0.0/8 22,80-90"}, nil, "10.1.2.3:5900", "port 5900"},
		{"either entry's ports", []string{"10.0.0.0/8", "10.1.0.0/16 22"}, nil, "10.1.2.3:22", ""},

		{"loopback", everything, nil, "127.0.0.1:5900", "a loopback address"},
		{"all of loopback", everything, nil, "127.255.0.9:5900", "a loopback address"},
		{"loopback of IPv6", everything, nil, "[::1]:5900", "a loopback address"},
		{"loopback, mapped", everything, nil, "[::ffff:127.0.0.1]:5900", "a loopback address"},
		{"link-local", everything, nil, "169.254.169.254:5900", "a link-local address"},
		{"link-local of IPv6", everything, nil, "[fe80::1]:5900", "a link-local address"},
		{"link-local with a zone", everything, nil, "[fe80::1%eth0]:5900", "a link-local address"},
		{"link-local, mapped", everything, nil, "[::ffff:169.254.169.254]:5900", "a link-local address"},
		{"multicast", everything, nil, "239.1.2.3:5900", "a multicast address"},
		{"multicast of IPv6", everything, nil, "[ff02::1]:5900", "a multicast address"},
		{"multicast, mapped", everything, nil, "[::ffff:224.0.0.1]:5900", "a multicast address"},
		{"broadcast", everything, nil, "255.255.255.255:5900", "a multicast address"},
		{"unspecified", everything, nil, "0.0.0.0:5900", "an unspecified address"},
		{"unspecified of IPv6", everything, nil, "[::]:5900", "an unspecified address"},
		{"unspecified, mapped", everything, nil, "[::ffff:0.0.0.0]:5900", "an unspecified address"},
		{"this network", everything, nil, "0.0.0.1:5900", "an unspecified address"},

		{"own address", everything, []string{"10.0.0.1"}, "10.0.0.1:5900", "of the gateway"},
		{"own address, mapped", everything, []string{"10.0.0.1"}, "[::ffff:10.0.0.1]:5900", "of the gateway"},
		{"own address, written mapped", everything, []string{"::ffff:10.0.0.1"}, "10.0.0.1:5900", "of the gateway"},
		{"own address of IPv6", everything, []string{"fd00::1"}, "[fd00::1]:5900", "of the gateway"},
		{"its neighbour", everything, []string{"10.0.0.1"}, "10.0.0.2:5900", ""},
		{"a dispatcher's address, by its name", everything, []string{"disp.example"}, "192.0.2.9:5900", "of the gateway"},

		{"loopback, listed itself", []string{"127.0.0.1/32"}, nil, "127.0.0.1:5900", ""},
		{"listed itself, asked mapped", []string{"127.0.0.1/32"}, nil, "[::ffff:127.0.0.1]:5900", ""},
		{"loopback, a neighbour listed", []string{"127.0.0.1/32", "0.0.0.0/0"}, nil, "127.0.0.2:5900", "a loopback address"},
		{"loopback, a network listed", []string{"127.0.0.0/31"}, nil, "127.0.0.1:5900", "a loopback address"},
		{"loopback of IPv6, listed itself", []string{"::1/128"}, nil, "[::1]:5900", ""},
		{"listed itself, another port", []string{"127.0.0.1/32 22"}, nil, "127.0.0.1:5900", "port 5900"},
		{"own address, listed itself", []string{"10.0.0.1/32"}, []string{"10.0.0.1"}, "10.0.0.1:5900", ""},
		{"listed itself with a port, and its network", []string{"10.0.0.1/32 22", "10.0.0.0/8"}, []string{"10.0.0.1"}, "10.0.0.1:5900", "port 5900"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPolicy(Targets{Allow: allowing(tt.allow...), Ports: []PortRange{{3389, 3389}, {5900, 32767}}, Refused: tt.refused},
				map[string][]netip.Addr{"disp.example": {netip.MustParseAddr("192.0.2.9")}})
			err := p.check(netip.MustParseAddrPort(tt.target))
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v, want it allowed", err)
				}
				return
			}
			if got := refusedWith(t, err, ErrTargetDenied); !strings.Contains(got.Detail, tt.want) || got.Field == "" {
				t.Errorf("got %q about field %q, want words about %q", got.Detail, got.Field, tt.want)
			}
		})
	}
}

func TestHostsAsAskedFor(t *testing.T) {
	bad := netip.MustParseAddr("127.0.0.2")
	r := named(t, map[string][]netip.Addr{
		"vm":       {netip.MustParseAddr("127.0.0.1")},
		"mixed":    {netip.MustParseAddr("127.0.0.1"), bad},
		"bad":      {bad},
		"mapped":   {netip.MustParseAddr("::ffff:127.0.0.2")},
		"disp.one": {netip.MustParseAddr("127.0.0.1")},
		"disp.two": {netip.MustParseAddr("127.0.0.1")},
	}, func(c *Config) { c.Targets.Refused = []string{"Disp.One", "disp.two."} })
	for _, tt := range []struct {
		host string
		want error
	}{
		{"vm", nil},
		{"127.0.0.1", nil},
		{"::ffff:127.0.0.1", nil},
		{"mixed", ErrTargetDenied},
		{"bad", ErrTargetDenied},
		{"mapped", ErrTargetDenied},
		{"disp.one", ErrTargetDenied},
		{"DISP.ONE.", ErrTargetDenied},
		{"disp.two", ErrTargetDenied},
		{"nowhere", ErrVMUnreachable},
		{"", ErrInvalid},
		{"127.1", ErrInvalid}, // the resolver would take it for 127.0.0.1
		{"0x7f.1", ErrInvalid},
		{"2130706433", ErrInvalid},
		{"fe80::1%eth0", ErrInvalid},
		{"a b", ErrInvalid},
		{"vm:5900", ErrInvalid},
		{"-vm", ErrInvalid},
		{"vm\n", ErrInvalid},
		{strings.Repeat("a.", 130) + "a", ErrInvalid},
	} {
		_, err := r.askName("127.0.0.5", tt.host, 5900)
		if !errors.Is(err, tt.want) {
			t.Errorf("%q: got %v, want %v", tt.host, err, tt.want)
		}
	}
	_, err := r.askName("127.0.0.5", "vm", 0)
	refusedWith(t, err, ErrInvalid)
}

// A name is resolved once, and what was checked is dialled, for as long as the
// grant lives.
func TestNameThatChangesItsMindReachesWhatWasChecked(t *testing.T) {
	good := newEcho(t)
	var asked atomic.Int32
	addr := loopbackOf(t)
	r := startRig(t, addr, configFor(addr), Deps{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		if asked.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
	}})
	g, err := r.askName("127.0.0.5", "rebinder", good.addr.Port(), probing)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		says(t, r.enter(g), "hello")
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("got %d look-ups for one grant, want 1", got)
	}
	_, err = r.askName("127.0.0.5", "rebinder", good.addr.Port())
	refusedWith(t, err, ErrTargetDenied)
}

// The names of dispatchers are looked up in the background, and their
// addresses refused from then on.
func TestRefusedNamesAreResolved(t *testing.T) {
	r := named(t, map[string][]netip.Addr{"disp.example": {netip.MustParseAddr("10.0.0.9")}}, func(c *Config) {
		c.Targets.Allow = allowing("10.0.0.0/8")
		c.Targets.Refused = []string{"disp.example", "10.0.0.8", "nowhere.example"}
	})
	_, err := r.ask("127.0.0.5", netip.MustParseAddrPort("10.0.0.8:5900"))
	refusedWith(t, err, ErrTargetDenied)
	eventually(t, "the dispatcher's address refused", func() bool {
		_, err := r.ask("127.0.0.5", netip.MustParseAddrPort("10.0.0.9:5900"))
		return errors.Is(err, ErrTargetDenied)
	})
	if err := r.change(func(c *Config) { c.Targets.Refused = nil }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it allowed again", func() bool {
		_, err := r.ask("127.0.0.5", netip.MustParseAddrPort("10.0.0.9:5900"))
		return err == nil
	})
}

// A name that cannot be resolved any more keeps the addresses it had.
func TestRefusedNamesOutliveTheirResolver(t *testing.T) {
	var broken atomic.Bool
	var asked atomic.Int32
	addr := loopbackOf(t)
	r := startRig(t, addr, configFor(addr, func(c *Config) {
		c.Targets.Allow, c.Targets.Refused = allowing("10.0.0.0/8"), []string{"disp.example"}
	}), Deps{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		defer asked.Add(1)
		if broken.Load() {
			return nil, errors.New("the resolver is away")
		}
		return []netip.Addr{netip.MustParseAddr("10.0.0.9")}, nil
	}})
	denied := func() bool {
		_, err := r.ask("127.0.0.5", netip.MustParseAddrPort("10.0.0.9:5900"))
		return errors.Is(err, ErrTargetDenied)
	}
	eventually(t, "the dispatcher's address refused", denied)
	broken.Store(true)
	before := asked.Load()
	for change := range uint16(2) { // the second comes after the first look-up
		if err := r.change(func(c *Config) { c.PortStart += change + 1 }); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another look-up", func() bool { return asked.Load() > before+int32(change) })
	}
	if !denied() {
		t.Error("the dispatcher's address is allowed while its name cannot be resolved")
	}
}

// What is forbidden while a tunnel is being opened is forbidden to it.
func TestTargetsThatChangeDuringOpen(t *testing.T) {
	addr := loopbackOf(t)
	var r *rig
	r = startRig(t, addr, configFor(addr), Deps{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		if err := r.change(func(c *Config) { c.Targets.Allow = nil }); err != nil {
			return nil, err
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	_, err := r.askName("127.0.0.5", "vm", 5900)
	refusedWith(t, err, ErrTargetDenied)
}

// What is allowed under one form of an address is allowed under the other, and
// nothing special is reached but by its own entry.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1}, []byte{0, 0, 0, 0}, uint8(0), []byte{10, 0, 0, 1}, uint16(5900), uint16(1), uint16(65535))
	f.Add([]byte{10, 0, 0, 1}, []byte{10, 0, 0, 0}, uint8(8), []byte{10, 0, 0, 1}, uint16(5900), uint16(5900), uint16(5999))
	f.Add([]byte{10, 0, 0, 1}, []byte{10, 0, 0, 1}, uint8(32), []byte{10, 0, 0, 1}, uint16(22), uint16(5900), uint16(5999))
	f.Add([]byte("\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"), make([]byte, 16), uint8(0), []byte{1, 2, 3, 4}, uint16(1), uint16(1), uint16(2))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01"), make([]byte, 16), uint8(0), make([]byte, 16), uint16(1), uint16(1), uint16(2))
	f.Fuzz(func(t *testing.T, target, network []byte, bits uint8, refused []byte, port, first, last uint16) {
		a, okA := netip.AddrFromSlice(target)
		n, okN := netip.AddrFromSlice(network)
		own, okR := netip.AddrFromSlice(refused)
		if !okA || !okN || !okR {
			t.Skip("not addresses")
		}
		prefix, err := n.Prefix(int(bits))
		if err != nil {
			t.Skip("not a network")
		}
		p := newPolicy(Targets{
			Allow: []Target{{Prefix: prefix}}, Ports: []PortRange{{first, last}}, Refused: []string{own.String()},
		}, nil)
		allowed := p.check(netip.AddrPortFrom(a, port)) == nil
		checkPolicy(t, allowed, a.Unmap(), prefix, own.Unmap(), port, PortRange{first, last})
		for _, form := range []netip.Addr{a.Unmap(), netip.AddrFrom16(a.As16())} {
			if got := p.check(netip.AddrPortFrom(form, port)) == nil; got != allowed {
				t.Errorf("%s allowed: %v, but written %s: %v", a, allowed, form, got)
			}
		}
	})
}

func checkPolicy(t *testing.T, allowed bool, a netip.Addr, prefix netip.Prefix, own netip.Addr, port uint16, ports PortRange) {
	special := a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a == own
	if special && allowed && !(prefix.IsSingleIP() && prefix.Addr() == a) {
		t.Errorf("%s is allowed by %s", a, prefix)
	}
	if allowed && (!prefix.Contains(a) || port < ports.First || port > ports.Last) {
		t.Errorf("%s port %d is allowed by %s %v", a, port, prefix, ports)
	}
	plainOne := a.IsGlobalUnicast() && !special && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && !(a.Is4() && a.As4()[0] == 0)
	if plainOne && prefix.Contains(a) && ports.First <= port && port <= ports.Last && !allowed {
		t.Errorf("%s port %d is refused by %s %v", a, port, prefix, ports)
	}
}
