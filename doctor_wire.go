package main

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vdi-gateway/vrrp"
)

// wire is what was seen where the virtual address lives.
type wire struct {
	cfg     vrrp.Config
	nodes   []netip.Addr
	own     netip.Addr
	running bool
	role    string       // of the own node, as it says; "": it does not
	active  []netip.Addr // other nodes that say that they are
	site    vrrp.Site
	siteErr error

	here      bool // the virtual address is on this host
	heard     []vrrp.Heard
	heardErr  error
	listened  time.Duration
	owners    map[netip.Addr][]string
	ownersErr error
	// known is the hardware address that the kernel had for the virtual address, before
	// anybody was asked for it.
	known    string
	knownErr error
}

func (w wire) virtual() netip.Addr { return w.cfg.Addrs[0].Addr() }

func (w wire) isActive() bool { return w.role == string(vrrp.RoleActive) }

// wire listens and asks on the interface of the virtual address.
func (p patient) wire(ctx context.Context, fellows []fellowState) []finding {
	if len(p.plan.vrrp.Addrs) == 0 {
		return []finding{fine("virtual_addr", "this node moves no address: %s", whyNone(p))}
	}
	w := wire{
		cfg: p.plan.vrrp, nodes: nodesOf(p.s), own: p.node, running: p.running(), role: p.health.Role,
		active: activeAmong(fellows), listened: max(p.listen, p.plan.vrrp.ListenTime()),
	}
	w.site, w.siteErr = vrrp.Locate(w.cfg)
	if w.siteErr != nil || w.site.Interface == "" {
		return wireFindings(w)
	}
	for range looks {
		w.here, _ = localTo(p.s.VirtualAddr)
		w.look(ctx)
		if !w.moved(ctx, p) {
			break
		}
	}
	return wireFindings(w)
}

// looks is how often is looked when the address moves meanwhile: what was heard before
// and after would contradict each other.
const looks = 3

// moved asks the nodes once more who is active, and tells whether that has changed since
// they were asked before.
func (w *wire) moved(ctx context.Context, p patient) bool {
	role, active := p.askOwn(ctx).Role, activeAmong(p.askFellows(ctx))
	here, _ := localTo(p.s.VirtualAddr)
	same := role == w.role && here == w.here && slices.Equal(active, w.active)
	w.role, w.active = role, active
	return !same
}

func whyNone(p patient) string {
	switch {
	case p.s.VirtualAddr == "":
		return "virtual_addr is empty, it is a node alone"
	case !p.s.IsEnabled:
		return "is_enabled is false"
	case !p.node.IsValid():
		return "it is not known which one it is"
	}
	return "all nodes have it, on the loopback"
}

// look fills in what takes time. The kernel is asked first: it learns from answers.
func (w *wire) look(ctx context.Context) {
	w.known, w.knownErr = vrrp.Neighbour(w.site.Interface, w.virtual())
	w.heard, w.heardErr = vrrp.Listen(ctx, w.cfg, w.site, w.listened)
	addrs := slices.Clone(w.nodes)
	if !w.here {
		addrs = append(addrs, w.virtual())
	}
	for _, h := range w.heard {
		addrs = append(addrs, h.From)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	w.owners, w.ownersErr = vrrp.Owners(ctx, w.site.Interface, slices.Compact(addrs), askOwners)
}

// askOwners is how long neighbours may take to answer.
const askOwners = time.Second

func wireFindings(w wire) []finding {
	all := []finding{siteFinding(w)}
	if w.siteErr != nil || w.site.Interface == "" {
		return all
	}
	return slices.Concat(all, []finding{ownerFinding(w)}, routerFindings(w), advertFindings(w), []finding{neighbourFinding(w)})
}

func siteFinding(w wire) finding {
	const name = "interface"
	switch {
	case w.siteErr != nil:
		return unknown(name, asRoot, "%v", w.siteErr)
	case w.site.Why != "":
		return failed(name, "bring it up, give it an address, or name another one: interface, or nodes for this machine alone", "%s", w.site.Why)
	}
	return fine(name, "%s has a link, VRRP is sent from %s", w.site.Interface, w.site.Source)
}

// ownerFinding tells who has the virtual address, as the neighbours have it.
func ownerFinding(w wire) finding {
	const name = "virtual_addr"
	v := w.virtual()
	switch {
	case w.here && w.isActive():
		return fine(name, "this node has %s", v)
	case w.here && w.running && w.role == "":
		return unknown(name, "see why the node does not answer", "%s is on this host, and whether the node is active is not known", v)
	case w.here:
		return failed(name, "vdi-gateway release, and remove what has put it there (ip addr show, another VRRP program, the network's configuration)", "%s is on this host although no node here is active", v)
	case w.ownersErr != nil:
		return unknown(name, asRoot, "who has %s: %v", v, w.ownersErr)
	}
	switch macs := w.owners[v]; {
	case len(macs) == 0 && len(w.active) > 0:
		return failed(name, "see whether its interface is in this network, and what the switch between does with ARP and ND", "node %s says that it is active, but nobody here answers for %s", w.active[0], v)
	case len(macs) == 0 && w.running:
		return warned(name, "see vdi-gateway status on every node: why does none compete?", "nobody has %s", v)
	case len(macs) == 0:
		return fine(name, "nobody has %s: it is free", v)
	case len(macs) > 1:
		return failed(name, "take it away from all but the active node; the first half of a hardware address names the maker of a device", "several hosts answer for %s: %s", v, strings.Join(w.named(macs), " and "))
	default:
		return w.holderFinding(name, macs[0])
	}
}

// holderFinding is about the one who answers for the virtual address.
func (w wire) holderFinding(name, mac string) finding {
	v, holder := w.virtual(), w.nodeOf(mac)
	switch {
	case !holder.IsValid() && w.competitor(mac).IsValid():
		return warned(name, "nothing, while it is being replaced (docs/migrate.md); else stop it", "%s, which is no node of internal_addrs but competes by the same VRRP, has %s", w.competitor(mac), v)
	case !holder.IsValid():
		return failed(name, "find that machine (its network's configuration, a switch's table) and take the address away from it, or choose another virtual_addr", "another machine has %s: %s answers for it", v, mac)
	case len(w.active) > 0 && !slices.Contains(w.active, holder):
		return failed(name, "on that node: vdi-gateway release, and vdi-gateway doctor", "node %s answers for %s, but %s says that it is active", holder, v, w.active[0])
	}
	return fine(name, "node %s has %s", holder, v)
}

// nodeOf is the node with a hardware address; invalid: none is known to have it.
func (w wire) nodeOf(mac string) netip.Addr {
	for _, n := range w.nodes {
		if slices.Contains(w.owners[n], mac) {
			return n
		}
	}
	return netip.Addr{}
}

// competitor is who advertises the same router and address from a hardware address, and
// is no node.
func (w wire) competitor(mac string) netip.Addr {
	for _, h := range w.heard {
		if h.Stranger == "" && slices.Contains(w.owners[h.From], mac) {
			return h.From
		}
	}
	return netip.Addr{}
}

// named are hardware addresses with whose they are.
func (w wire) named(macs []string) (list []string) {
	for _, m := range macs {
		if n := w.nodeOf(m); n.IsValid() {
			m += " (node " + n.String() + ")"
		}
		list = append(list, m)
	}
	return list
}

// isNode tells whether an advertisement came from a node. Over IPv6 they come from
// link-local addresses, which internal_addrs does not list.
func (w wire) isNode(from netip.Addr) bool {
	if slices.Contains(w.nodes, from) {
		return true
	}
	return from.IsLinkLocalUnicast() && slices.ContainsFunc(w.owners[from], func(mac string) bool { return w.nodeOf(mac).IsValid() })
}
