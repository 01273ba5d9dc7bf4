package original

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Keepalived lays a keepalived.conf over a document: its virtual router, of several the
// one for virtual_addr, else the first. What it does not say Keepalived has a default for,
// which counts where both have to agree. The error is that the document would be wrong by
// itself; then nothing is taken.
func Keepalived(doc Document, file []Statement) (Report, error) {
	k := keepalived{draft: draft{doc: doc}, version: 2}
	router := k.choose(file)
	for i, s := range file {
		switch {
		case i == router:
			k.router(s)
		case word(s, 0) == "global_defs":
			k.global(s)
		case word(s, 0) == "vrrp_instance":
			k.notTaken(s.Line, s.Words, "a node has one virtual router")
		case strings.HasPrefix(word(s, 0), "vrrp_script"), strings.HasPrefix(word(s, 0), "vrrp_track"):
			k.notNeeded(s.Line, s.Words, "a node checks itself: it competes while it can serve")
		case word(s, 0) == "include":
			k.notTaken(s.Line, s.Words, "that file is not read: import it by itself")
		default:
			k.notTaken(s.Line, s.Words, "this gateway has no such thing")
		}
	}
	return k.report()
}

type keepalived struct {
	draft
	version int // that is in force: of global_defs, or of the router
	source  string
	others  []string
}

func word(s Statement, i int) string {
	if i < len(s.Words) {
		return s.Words[i]
	}
	return ""
}

// choose is the index of the virtual router to take, -1 without one. The default version
// is needed before it is read.
func (k *keepalived) choose(file []Statement) int {
	chosen := -1
	virtual, _ := k.doc.Now["virtual_addr"].(string) // a text always
	for i, s := range file {
		if word(s, 0) == "global_defs" {
			k.versionOf(s)
		}
		if word(s, 0) != "vrrp_instance" {
			continue
		}
		if has := slices.ContainsFunc(addressesOf(s), func(a Statement) bool { return virtual != "" && prefixOf(word(a, 0)).Addr().String() == virtual }); chosen < 0 || has {
			chosen = i
		}
	}
	return chosen
}

func (k *keepalived) versionOf(s Statement) {
	for _, b := range s.Block {
		if word(b, 0) == "vrrp_version" || word(b, 0) == "version" {
			if n, err := strconv.Atoi(word(b, 1)); err == nil {
				k.version = n
			}
		}
	}
}

func (k *keepalived) global(s Statement) {
	for _, b := range s.Block {
		switch word(b, 0) {
		case "router_id":
			k.notNeeded(b.Line, b.Words, "it is a name for mails, not vrrp.router_id")
		case "vrrp_version":
			k.notNeeded(b.Line, b.Words, "it is the router's, below")
		default:
			k.notTaken(b.Line, b.Words, "this gateway has no such setting")
		}
	}
}

// addressesOf are the virtual addresses of a router.
func addressesOf(s Statement) (list []Statement) {
	for _, b := range s.Block {
		if word(b, 0) == "virtual_ipaddress" {
			list = append(list, b.Block...)
		}
	}
	return list
}

// prefixOf reads an address with or without a length; invalid if it is none.
func prefixOf(text string) netip.Prefix {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// router reads the virtual router, and then what it has left out.
func (k *keepalived) router(s Statement) {
	k.versionOf(s)
	said := map[string]bool{}
	for _, b := range s.Block {
		said[word(b, 0)] = true
		k.statement(b)
	}
	if !said["version"] {
		k.take(s.Line, []string{"(version)"}, take{path: "vrrp.version", value: k.version, remark: "what this Keepalived speaks"})
	}
	if !said["virtual_router_id"] {
		k.notTaken(s.Line, []string{"(virtual_router_id)"}, "it is not said")
	}
	if !said["nopreempt"] {
		k.notTaken(s.Line, []string{"(preempt)"}, "Keepalived takes the address back when it can; a node that has come back leaves it where it is, unless vrrp.preempt is true")
	}
	if !said["advert_int"] {
		k.take(s.Line, []string{"(advert_int)"}, take{path: "vrrp.advert_ms", value: 1000, remark: "Keepalived's default"})
	}
	k.peers()
}

// statement is one line of the router.
func (k *keepalived) statement(b Statement) {
	switch word(b, 0) {
	case "version":
		k.number(b, "vrrp.version")
	case "virtual_router_id":
		k.number(b, "vrrp.router_id")
	case "preempt_delay":
		k.number(b, "vrrp.preempt_delay_s")
	case "interface":
		k.take(b.Line, b.Words, take{path: "interface", value: word(b, 1)})
	case "nopreempt":
		k.take(b.Line, b.Words, take{path: "vrrp.preempt", value: false})
	case "priority":
		k.priority(b)
	case "advert_int":
		k.interval(b)
	case "virtual_ipaddress":
		k.addresses(b)
	case "unicast_src_ip":
		k.source = addrText(word(b, 1))
		k.take(b.Line, b.Words, take{path: "vrrp.mode", value: "unicast"})
	case "unicast_peer":
		k.unicast(b)
	default:
		k.leave(b)
	}
}

// needless are statements that say what is so anyway, and why.
var needless = map[string]string{
	"state":           "every node begins as backup; priorities decide",
	"unicast_ttl":     "nodes send and heed 255 alone: other Keepalived beside them need unicast_ttl 255",
	"track_script":    "a node competes while it can serve",
	"track_interface": "a node competes while it can serve",
	"track_process":   "a node competes while it can serve",
}

// untaken are statements that there is something to say of.
var untaken = map[string]string{
	"authentication":             "RFC 3768 removed it and nodes do not heed such packets: remove it from every Keepalived before a node stands beside",
	"use_vmac":                   "nodes use the interface's own hardware address and announce the change",
	"vmac_xmit_base":             "nodes use the interface's own hardware address and announce the change",
	"virtual_ipaddress_excluded": "there is one virtual address (and inside_addr)",
}

// leave tells of what is not taken. Words behind the name of a script may be anything.
func (k *keepalived) leave(b Statement) {
	name := word(b, 0)
	switch {
	case needless[name] != "":
		k.notNeeded(b.Line, b.Words, needless[name])
	case untaken[name] != "":
		k.notTaken(b.Line, b.Words, untaken[name])
	case strings.HasPrefix(name, "notify") || name == "smtp_alert":
		k.notTaken(b.Line, b.Words[:1], "nodes run no scripts: role and change are in the journal, in metrics and in health")
	default:
		k.notTaken(b.Line, b.Words, "this gateway has no such setting")
	}
}

func (k *keepalived) number(b Statement, path string) {
	n, err := strconv.Atoi(word(b, 1))
	if err != nil {
		k.notTaken(b.Line, b.Words, "a whole number is expected")
		return
	}
	k.take(b.Line, b.Words, take{path: path, value: n})
}

func (k *keepalived) priority(b Statement) {
	if _, known := k.doc.Now["priority"]; !known {
		k.notTaken(b.Line, b.Words, "it is this node's own, and which of internal_addrs that is is not known: set nodes.ADDRESS.priority")
		return
	}
	k.number(b, "priority")
}

func (k *keepalived) interval(b Statement) {
	seconds, err := strconv.ParseFloat(word(b, 1), 64)
	if err != nil || !(seconds > 0 && seconds < 1e6) {
		k.notTaken(b.Line, b.Words, "a number of seconds is expected")
		return
	}
	k.take(b.Line, b.Words, take{path: "vrrp.advert_ms", value: int(math.Round(seconds * float64(time.Second/time.Millisecond)))})
}

// addresses takes the first one.
func (k *keepalived) addresses(b Statement) {
	for i, s := range b.Block {
		p := prefixOf(word(s, 0))
		switch {
		case !p.IsValid():
			k.notTaken(s.Line, s.Words, "an IP address is expected")
			continue
		case i > 0:
			k.notTaken(s.Line, s.Words, "there is one virtual address (and inside_addr); while a Keepalived with several stands beside, both ignore each other in version 2")
			continue
		}
		list := []take{{path: "virtual_addr", value: p.Addr().String()}, {path: "virtual_prefix_len", value: p.Bits()}}
		if at := slices.Index(s.Words, "dev"); at > 0 && at+1 < len(s.Words) {
			list = append(list, take{path: "interface", value: s.Words[at+1]})
		}
		k.take(s.Line, s.Words, list...)
	}
}

// unicast notes the other routers.
func (k *keepalived) unicast(b Statement) {
	for _, s := range b.Block {
		a := addrText(word(s, 0))
		if a == "" {
			k.notTaken(s.Line, s.Words, "an IP address is expected")
			continue
		}
		k.others = append(k.others, a)
		k.take(s.Line, s.Words, take{path: "vrrp.mode", value: "unicast"})
	}
}

// peers adds those that are not among the nodes yet.
func (k *keepalived) peers() {
	nodes, _ := k.doc.Now["internal_addrs"].([]string) // a list always
	next := slices.Clone(nodes)
	for _, a := range append([]string{k.source}, k.others...) {
		if a != "" && !slices.Contains(next, a) {
			next = append(next, a)
		}
	}
	if len(next) > len(nodes) {
		k.take(k.lines[len(k.lines)-1].Number, []string{"(unicast)"}, take{
			path: "internal_addrs", value: next, remark: fmt.Sprintf("with %d more; the order has to be the same on all nodes", len(next)-len(nodes)),
		})
	}
}

// addrText is an address as the document writes it, "" if it is none.
func addrText(text string) string {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return ""
	}
	return a.String()
}
