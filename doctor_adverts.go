package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vdi-gateway/vrrp"
)

// routerFindings are about routers of others with the same id.
func routerFindings(w wire) []finding {
	const name = "router_id"
	if w.heardErr != nil {
		return []finding{unknown(name, asRoot, "who uses router id %d: %v", w.cfg.VRID, w.heardErr)}
	}
	var all []finding
	for _, h := range w.heard {
		switch {
		case h.Stranger != "":
			all = append(all, failed(name, "two virtual routers of one network need different ids: change vrrp.router_id, or the other one's", "%s %s", h.From, h.Stranger))
		case h.Discarded != "" && h.Discarded != vrrp.DiscardSource:
			all = append(all, failed(name, discardAdvice(h.Discarded), "%s sends VRRP with router id %d that nodes do not heed: %s", h.From, w.cfg.VRID, h.Discarded))
		case !w.isNode(h.From):
			all = append(all, warned(name, "nothing, while it is being replaced (docs/migrate.md); else stop it, or change vrrp.router_id", "%s, which is not in internal_addrs, competes for the same address with router id %d", h.From, w.cfg.VRID))
		case h.Last.Interval != w.cfg.Interval:
			all = append(all, warned(name, "set the same advert_int there and vrrp.advert_ms here", "%s advertises every %s, this node every %s", h.From, h.Last.Interval, w.cfg.Interval))
		}
	}
	if len(all) == 0 {
		all = append(all, fine(name, "nobody else was heard with router id %d in %s; routers that are backup are silent", w.cfg.VRID, w.listened))
	}
	return all
}

// discardAdvice is what to do about packets that are not heeded.
func discardAdvice(why vrrp.Discard) string {
	switch why {
	case vrrp.DiscardHops:
		return "a router has forwarded it, or it is Keepalived in unicast without unicast_ttl 255"
	case vrrp.DiscardAuth:
		return "remove the authentication there: RFC 3768 has none, and it protects from nobody on the same network"
	case vrrp.DiscardInterval:
		return "version 2 wants the same interval everywhere: vrrp.advert_ms here, advert_int there"
	case vrrp.DiscardAddresses:
		return "version 2 wants the same addresses everywhere"
	case vrrp.DiscardChecksum:
		return "something damages packets between, or the other program has another idea of the checksum: vrrp.checksum there"
	}
	return "see which program runs there"
}

// advertFindings tell whether adverts of those who send any arrive here.
func advertFindings(w wire) []finding {
	const name = "adverts"
	if w.heardErr != nil {
		return []finding{unknown(name, asRoot, "whether adverts arrive: %v", w.heardErr)}
	}
	var heard []netip.Addr
	for _, h := range w.heard {
		if h.Stranger == "" && h.Discarded == "" {
			heard = append(heard, h.From)
		}
	}
	var all []finding
	for _, a := range w.active {
		if !w.hears(heard, a) {
			all = append(all, failed(name, w.pathAdvice(), "node %s says that it is active, but none of its adverts arrived in %s", a, w.listened))
		}
	}
	switch {
	case w.isActive() && len(heard)+len(w.active) > 0:
		all = append(all, failed(name, w.pathAdvice(), "this node is active, and so is %s: they do not hear each other", joined(append(heard, w.active...))))
	case len(all) > 0:
	case w.isActive():
		all = append(all, fine(name, "this node sends them; whether they arrive is seen by vdi-gateway doctor on the other nodes"))
	case len(heard) > 0:
		all = append(all, fine(name, "those of %s arrive; nodes that are backup send none: to test their way too, vdi-gateway failover and look again", joined(heard)))
	case w.running && len(w.nodes) > 1:
		all = append(all, warned(name, w.pathAdvice(), "none arrived in %s, and no node says that it is active", w.listened))
	default:
		all = append(all, fine(name, "none arrived in %s: no node is active", w.listened))
	}
	return all
}

// hears tells whether an advert of a node arrived, which over IPv6 has another address.
func (w wire) hears(heard []netip.Addr, node netip.Addr) bool {
	return slices.ContainsFunc(heard, func(from netip.Addr) bool {
		return from == node || from.IsLinkLocalUnicast() && slices.ContainsFunc(w.owners[from], func(mac string) bool { return w.nodeOf(mac) == node })
	})
}

func (w wire) pathAdvice() string {
	if len(w.cfg.Peers) > 0 {
		return "let IP protocol 112 through between the nodes (host firewalls, the hypervisor's port security)"
	}
	return fmt.Sprintf(`let IP protocol 112 through (host firewalls, the hypervisor's port security) and multicast to %s (IGMP or MLD snooping without a querier drops it), or set vrrp.mode to "unicast"`, groupOf(w.virtual()))
}

func groupOf(v netip.Addr) string {
	if v.Is6() {
		return "ff02::12"
	}
	return "224.0.0.18"
}

func joined(list []netip.Addr) string {
	slices.SortFunc(list, netip.Addr.Compare)
	var texts []string
	for _, a := range slices.Compact(list) {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}

// neighbourFinding is what can be said about announcements from here: whether the last
// one, by gratuitous ARP or an unsolicited advertisement, has reached this host's kernel.
// What a switch does on the way to clients is seen only when the address moves.
func neighbourFinding(w wire) finding {
	const name = "announcements"
	const rest = "for the way to clients, have one ping the address and move it: vdi-gateway failover"
	answers := w.owners[w.virtual()]
	err := errors.Join(w.knownErr, w.ownersErr)
	switch {
	case w.here:
		return fine(name, "this host has the address and cannot see how others learn of it; %s", rest)
	case err != nil:
		return unknown(name, asRoot, "%v", err)
	case w.known == "" || len(answers) == 0:
		return fine(name, "this host has not spoken to the address lately, so nothing can be compared; %s", rest)
	case !slices.Contains(answers, w.known):
		return failed(name, "see whether the switch or hypervisor drops gratuitous ARP and unsolicited neighbour advertisements (ARP inspection, port security, MAC spoofing rules)",
			"this host's kernel still sent to %s for %s, but %s answers for it: it has not heard that the address moved", w.known, w.virtual(), strings.Join(answers, ", "))
	}
	return fine(name, "this host's kernel knows who has the address now; %s", rest)
}
