package vrrp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	allRouters4  = "224.0.0.18"
	allRouters6  = "ff02::12"
	checksumGood = "1" // for tshark
)

// Wireshark's decoder has nothing to object to what a node sends from its first
// advertisement to the last one, which its guard sends for it.
func TestWiresharkUnderstands(t *testing.T) {
	t.Parallel()
	lab.Need(t, "tshark")
	t.Log(version(t, "tshark"))
	for _, tt := range []struct {
		name    string
		virtual string
		inside  string
		vrrp    map[string]any
		to      string // "" is the client's address
		decode  string // a preference of tshark
	}{
		{"version 3, IPv4, as Keepalived sums up", four, "10.99.0.1", map[string]any{"checksum": "pseudo_header"}, allRouters4, ""},
		{"version 3, IPv4, as RFC 9568 sums up", four, "10.99.0.1", map[string]any{"checksum": "rfc9568"}, allRouters4, "vrrp.v3_checksum_as_in_v2:TRUE"},
		{"version 3, IPv6", six, "fd99::1", nil, allRouters6, ""},
		{"version 3, IPv4, unicast", four, "10.99.0.1", map[string]any{"mode": "unicast"}, "", ""},
		{"version 3, IPv6, unicast", six, "fd99::1", map[string]any{"mode": "unicast"}, "", ""},
		{"version 2", four, "10.99.0.1", map[string]any{"version": 2, "advert_ms": 1000}, allRouters4, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			steady(t, func(t testing.TB) { live(newRig(t, tt.virtual), tt.inside, tt.vrrp, tt.to, tt.decode) })
		})
	}
}

// live has a node live and die, and looks at what it sent.
func live(r *rig, inside string, vrrp map[string]any, to, preference string) {
	r.t.Helper()
	client := r.client.Addr()
	if r.virtual.Is6() {
		client = r.client.Addr6()
	}
	m := r.add(node.Settings{
		"internal_addrs": []string{inside, client.String()}, "vrrp": election(vrrp),
		"nodes": map[string]any{inside: map[string]any{"priority": 200}},
	}, inside+prefixLen(inside))
	r.watch()
	c := r.capture(r.client)
	m.launch()
	r.only(m.host, time.Now(), patience)
	until(r.lastChange().Add(2*every(vrrp) + slack)) // three advertisements at least
	m.kill(m.main())
	r.gone(m.host, time.Now(), goneTime)
	eventually(r.t, "the guard resigns", c.ended)
	for _, complaint := range check(c.decode(preference), expectation{vrrp["version"] == 2, cmp.Or(to, client.String()), r.virtual.String()}) {
		r.t.Error(complaint)
	}
}

// every is the interval that settings say.
func every(vrrp map[string]any) time.Duration {
	if ms, ok := vrrp["advert_ms"].(int); ok {
		return time.Duration(ms) * time.Millisecond
	}
	return interval
}

// expectation is how advertisements of a node have to be.
type expectation struct {
	old     bool // version 2
	to      string
	virtual string
}

// check says what is wrong with packets.
func check(list []decoded, want expectation) (complaints []string) {
	var priorities []string
	for _, p := range list {
		if p["_ws.col.Protocol"] != "VRRP" {
			if p["_ws.expert.message"] != "" {
				complaints = append(complaints, fmt.Sprintf("got %v, want no complaint", p))
			}
			continue
		}
		complaints = append(complaints, want.judge(p)...)
		priorities = append(priorities, p["vrrp.prio"])
	}
	if n := len(priorities); n < 4 || priorities[0] != "200" || priorities[n-1] != "0" || slices.Index(priorities, "0") != n-1 {
		complaints = append(complaints, fmt.Sprintf("got advertisements with priorities %v, want some of 200 and one of 0 at the end", priorities))
	}
	return complaints
}

// judge compares one advertisement.
func (e expectation) judge(p decoded) (complaints []string) {
	want := decoded{
		"vrrp.version": "3", "vrrp.short_adver_int": "10", "ip.ttl": "255", "ip.dst": e.to, "vrrp.ip_addr": e.virtual,
		"vrrp.type": "1", "vrrp.virt_rtr_id": fmt.Sprint(routerID), "vrrp.checksum.status": checksumGood, "_ws.expert.message": "",
	}
	if strings.Contains(e.virtual, ":") {
		want["ipv6.hlim"], want["ipv6.dst"], want["vrrp.ipv6_addr"] = "255", e.to, e.virtual
		want["ip.ttl"], want["ip.dst"], want["vrrp.ip_addr"] = "", "", ""
	}
	if e.old {
		want["vrrp.version"], want["vrrp.adver_int"], want["vrrp.short_adver_int"], want["vrrp.auth_type"] = "2", "1", "", "0"
	}
	for field, value := range want {
		if p[field] != value {
			complaints = append(complaints, fmt.Sprintf("%s: got %q, want %q in %v", field, p[field], value, p))
		}
	}
	return complaints
}
