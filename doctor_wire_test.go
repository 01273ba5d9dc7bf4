package main

import (
	"io/fs"
	"net/netip"
	"slices"
	"testing"
	"time"

	"vdi-gateway/vrrp"
)

func TestWireFindings(t *testing.T) {
	v := netip.MustParseAddr("10.0.0.100")
	one, two, nine := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.9")
	const mac2, mac9 = "02:00:00:00:00:02", "02:00:00:00:00:09"
	interval := 100 * time.Millisecond
	quiet := wire{
		cfg:   vrrp.Config{Addrs: []netip.Prefix{netip.PrefixFrom(v, 32)}, VRID: 51, Version: 3, Interval: interval},
		nodes: []netip.Addr{one, two}, own: one, site: vrrp.Site{Interface: "eth0", Source: one},
		owners: map[netip.Addr][]string{two: {mac2}}, listened: time.Second,
	}
	heard := func(from netip.Addr) vrrp.Heard {
		return vrrp.Heard{From: from, Last: vrrp.Advertisement{Interval: interval}, Packets: 9}
	}
	held := func(w *wire) {
		w.running, w.role, w.active = true, "backup", []netip.Addr{two}
		w.owners[v], w.known, w.heard = []string{mac2}, mac2, []vrrp.Heard{heard(two)}
	}
	for _, tt := range []struct {
		name  string
		is    func(*wire)
		check string
		want  level
		says  string
	}{
		{"free", nil, "virtual_addr", levelOK, "free"},
		{"free, nobody advertises", nil, "adverts", levelOK, "no node is active"},
		{"held by the other node", held, "virtual_addr", levelOK, "node 10.0.0.2 has"},
		{"its adverts arrive", held, "adverts", levelOK, "10.0.0.2 arrive"},
		{"the kernel knows it", held, "announcements", levelOK, "knows"},
		{"nobody else has the id", held, "router_id", levelOK, "nobody else"},
		{"held here", func(w *wire) { w.here, w.running, w.role = true, true, "active" }, "virtual_addr", levelOK, "this node has"},
		{"held here, adverts", func(w *wire) { w.here, w.running, w.role = true, true, "active" }, "adverts", levelOK, "sends them"},
		{"left here", func(w *wire) { w.here = true }, "virtual_addr", levelFail, "release"},
		{"here beside a backup", func(w *wire) { held(w); w.here = true }, "virtual_addr", levelFail, "no node here is active"},
		{"here, the node hangs", func(w *wire) { w.here, w.running = true, true }, "virtual_addr", levelUnknown, ""},
		{"nobody has it while nodes run", func(w *wire) { w.running, w.role = true, "backup" }, "virtual_addr", levelWarn, "nobody"},
		{"nobody answers for the active one", func(w *wire) { held(w); delete(w.owners, v) }, "virtual_addr", levelFail, "10.0.0.2 says"},
		{"a stranger has it", func(w *wire) { w.owners[v] = []string{mac9} }, "virtual_addr", levelFail, mac9},
		{"two have it", func(w *wire) { held(w); w.owners[v] = []string{mac2, mac9} }, "virtual_addr", levelFail, mac2 + " (node 10.0.0.2)"},
		{"a node that is not active has it", func(w *wire) { held(w); w.active = []netip.Addr{nine} }, "virtual_addr", levelFail, "release"},
		{"the original has it", func(w *wire) {
			w.owners[v], w.owners[nine], w.heard = []string{mac9}, []string{mac9}, []vrrp.Heard{heard(nine)}
		}, "virtual_addr", levelWarn, "docs/migrate.md"},
		{"the original competes", func(w *wire) { w.heard = []vrrp.Heard{heard(nine)} }, "router_id", levelWarn, "10.0.0.9"},
		{"who cannot be asked", func(w *wire) { w.ownersErr = fs.ErrPermission }, "virtual_addr", levelUnknown, "root"},
		{"who cannot be heard", func(w *wire) { w.heardErr = fs.ErrPermission }, "router_id", levelUnknown, "root"},
		{"nor their adverts", func(w *wire) { w.heardErr = fs.ErrPermission }, "adverts", levelUnknown, "root"},
		{"another router", func(w *wire) { w.heard = []vrrp.Heard{{From: nine, Stranger: "uses router id 51 for other addresses"}} }, "router_id", levelFail, "10.0.0.9 uses"},
		{"with a password", func(w *wire) { w.heard = []vrrp.Heard{{From: two, Discarded: vrrp.DiscardAuth}} }, "router_id", levelFail, "authentication"},
		{"from afar", func(w *wire) { w.heard = []vrrp.Heard{{From: two, Discarded: vrrp.DiscardHops}} }, "router_id", levelFail, "unicast_ttl 255"},
		{"another interval", func(w *wire) {
			w.heard = []vrrp.Heard{heard(two)}
			w.heard[0].Last.Interval = time.Second
		}, "router_id", levelWarn, "every 1s"},
		{"adverts do not arrive", func(w *wire) { held(w); w.heard = nil }, "adverts", levelFail, `vrrp.mode to "unicast"`},
		{"adverts by unicast do not arrive", func(w *wire) { held(w); w.heard = nil; w.cfg.Peers = []netip.Addr{two} }, "adverts", levelFail, "protocol 112"},
		{"nobody is active", func(w *wire) { w.running, w.role = true, "backup" }, "adverts", levelWarn, "none arrived"},
		{"both are active", func(w *wire) { held(w); w.role, w.here = "active", true }, "adverts", levelFail, "so is 10.0.0.2"},
		{"it moved unheard", func(w *wire) { held(w); w.known = mac9 }, "announcements", levelFail, "gratuitous ARP"},
		{"there is nothing to compare", func(w *wire) { held(w); w.known = "" }, "announcements", levelOK, "nothing can be compared"},
		{"it is here, nothing is seen", func(w *wire) { w.here = true }, "announcements", levelOK, "failover"},
		{"no link", func(w *wire) { w.site.Why = "interface eth0 is down" }, "interface", levelFail, "eth0 is down"},
		{"interfaces are hidden", func(w *wire) { w.siteErr = fs.ErrPermission }, "interface", levelUnknown, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := quiet
			w.owners = map[netip.Addr][]string{two: {mac2}}
			if tt.is != nil {
				tt.is(&w)
			}
			list := slices.DeleteFunc(wireFindings(w), func(f finding) bool { return f.Name != tt.check })
			judged(t, list, tt.want, tt.says)
			if tt.want == levelOK && len(list) != 1 {
				t.Errorf("got %+v beside, want that alone", list)
			}
		})
	}
}
