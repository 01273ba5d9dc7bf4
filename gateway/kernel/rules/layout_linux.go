package rules

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

const (
	// tableName is the name of our table; its family is inet.
	tableName = "vdi-gateway"
	// version is the layout's. A table of another version is replaced as a whole; count
	// it up with any change of chains, sets or what their elements mean.
	version = 2
	// about is the chain without a use whose comment tells version and fingerprint.
	about = "about"
	// highPort is where source ports begin on an inside address that is virtual too.
	highPort = 32768
	// liveSize bounds the sets of counted clients; beyond it nobody is limited.
	liveSize = 65535
)

// chain is a chain of the table; those without a hook are gone to from others.
type chain struct {
	name     string
	kind     nftables.ChainType
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
}

// rule is a rule of a chain with its comment, which tells rules apart.
type rule struct {
	chain, comment string
	exprs          []expr.Any
}

// layout is the table as it shall be, without grants.
type layout struct {
	chains   []chain
	rules    []rule
	sets     []*nftables.Set
	elements map[string][]nftables.SetElement // of the sets whose content the config tells
}

// class is a limit that grants of a family have.
type class struct {
	suffix string
	limit  int
}

func (k class) chain() string { return fmt.Sprintf("limit%s_%d", k.suffix, k.limit) }
func (k class) live() string  { return fmt.Sprintf("live%s_%d", k.suffix, k.limit) }

func (k class) family() family {
	if k.suffix == ip4.suffix {
		return ip4
	}
	return ip6
}

func table() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
}

// layoutOf is what a config wants, with the limits that grants have.
func layoutOf(c *Config, classes []class) layout {
	l := layout{chains: baseChains(), elements: map[string][]nftables.SetElement{}}
	for _, f := range []family{ip4, ip6} {
		l.chains = append(l.chains, chain{name: f.clients()})
		l.sets = append(l.sets, familySets(f)...)
		l.elements[f.allowed()] = intervals(f, c.Clients)
		l.rules = append(l.rules, clientRules(c, f)...)
	}
	for _, v := range c.Virtual {
		l.rules = append(l.rules, virtualRules(c, v)...)
	}
	for _, a := range c.Inside {
		l.rules = append(l.rules, insideRules(c, a)...)
	}
	if len(c.Inside) == 0 {
		l.rules = append(l.rules, residentRules(c)...)
	}
	l.rules = append(l.rules,
		rule{"condemned", "a flow that is to end, in both directions", join(tcp(), flowMark(c.Condemned), counted(condemned), reset())})
	l.rules = append(l.rules, l.aboutRule())
	for _, k := range classes {
		l.chains, l.sets, l.rules = append(l.chains, chain{name: k.chain()}), append(l.sets, k.set()), append(l.rules, k.rule())
	}
	return l
}

func baseChains() []chain {
	const afterNAT = 50
	return []chain{
		{name: about},
		{"steer", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, *nftables.ChainPriorityNATDest},
		{"guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, *nftables.ChainPriorityNATDest + afterNAT},
		{"refuse", nftables.ChainTypeFilter, nftables.ChainHookInput, *nftables.ChainPriorityFilter},
		{"condemned", nftables.ChainTypeFilter, nftables.ChainHookForward, *nftables.ChainPriorityFilter},
		{"untracked", nftables.ChainTypeFilter, nftables.ChainHookOutput, *nftables.ChainPriorityRaw},
		{"hide", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, *nftables.ChainPriorityNATSource},
	}
}

// clientRules decide about a connection that begins.
func clientRules(c *Config, f family) []rule {
	return []rule{
		{f.clients(), "not by the access list", join(f.is(),
			one(f.source(), lookup(f.allowed(), func(l *expr.Lookup) { l.Invert = true })),
			counted(denied), verdict(expr.VerdictAccept))},
		{f.clients(), "the grant's limit, if it has one", join(f.clientAndPort(),
			one(lookup(f.limits(), func(l *expr.Lookup) { l.IsDestRegSet = true })))},
		{f.clients(), "the grant", grantRule(c, f)},
	}
}

// grantRule asks for the grant before it marks the flow: without one the rule ends
// there, whatever order nft prints it in.
func grantRule(c *Config, f family) []expr.Any {
	const markRegister = unix.NFT_REG_4
	return join(f.clientAndPort(), one(
		lookup(f.grants(), func(l *expr.Lookup) { l.IsDestRegSet, l.DestRegister = true, 1 }),
		&expr.Immediate{Register: markRegister, Data: number(c.Mark)},
		&expr.Ct{Key: expr.CtKeyMARK, Register: markRegister, SourceRegister: true},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(f.proto), RegAddrMin: 1, RegProtoMin: f.port}))
}

func lookup(set string, change func(*expr.Lookup)) expr.Any {
	l := &expr.Lookup{SourceRegister: 1, SetName: set, SetID: setID(set)}
	change(l)
	return l
}

// virtualRules stand for an address that clients connect to.
func virtualRules(c *Config, v netip.Addr) []rule {
	ports := toPorts(c.FirstPort, c.LastPort)
	relayed := join(to(v), ports, familyOf(v).isRelayed(), verdict(expr.VerdictAccept))
	return []rule{
		{"steer", "clients of " + v.String(), join(arrives(c.OutsideInterface), to(v), ports, goTo(familyOf(v).clients()))},
		{"guard", "relayed, for " + v.String(), relayed},
		{"guard", "invalid, for " + v.String(), join(to(v), ports, state(expr.CtStateBitINVALID), counted(dropped), verdict(expr.VerdictDrop))},
		{"guard", "of no flow, for " + v.String(), join(to(v), ports, notBegins(), state(expr.CtStateBitNEW), counted(dropped), verdict(expr.VerdictDrop))},
		{"refuse", "relayed, for " + v.String(), relayed},
		{"refuse", "without a grant, for " + v.String(), join(to(v), ports, begins(), state(expr.CtStateBitNEW), counted(refused), reset())},
		{"untracked", "spoofed for " + v.String(), join(from(v), packetMark(c.Condemned), one(&expr.Notrack{}))},
	}
}

// insideRules stand for the address that VMs see. Where it is a virtual one as well,
// connections that begin are somebody's business, and ports tell flows from others.
func insideRules(c *Config, a netip.Addr) []rule {
	shared := slices.Contains(c.Virtual, a)
	hide := rule{"hide", "clients behind " + a.String(), join(familyOf(a).is(), tcp(), flowMark(c.Mark), hideBehind(a, shared))}
	stray := state(expr.CtStateBitINVALID | expr.CtStateBitNEW)
	if shared {
		return []rule{hide, {
			"guard", "of no flow, from VMs for " + a.String(),
			join(arrives(c.InsideInterface), to(a), toPorts(highPort, 65535), notBegins(), stray, counted(dropped), verdict(expr.VerdictDrop)),
		}}
	}
	return []rule{
		hide,
		{"guard", "of no flow, from VMs for " + a.String(), join(to(a), tcp(), stray, counted(dropped), verdict(expr.VerdictDrop))},
		{"untracked", "spoofed for " + a.String(), join(from(a), packetMark(c.Condemned), one(&expr.Notrack{}))},
	}
}

// residentRules are for a host that no other one ever stands in for: VMs see the address
// it has on their side, whichever that is.
func residentRules(c *Config) []rule {
	return []rule{
		{"hide", "clients behind this host", join(tcp(), flowMark(c.Mark), one(&expr.Masq{}))},
		{"untracked", "spoofed", join(packetMark(c.Condemned), one(&expr.Notrack{}))},
	}
}

func hideBehind(a netip.Addr, shared bool) []expr.Any {
	f := familyOf(a)
	nat := &expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(f.proto), RegAddrMin: 1}
	exprs := one(&expr.Immediate{Register: 1, Data: a.AsSlice()})
	if shared {
		nat.RegProtoMin, nat.RegProtoMax = unix.NFT_REG_2, unix.NFT_REG_3
		exprs = append(exprs, &expr.Immediate{Register: unix.NFT_REG_2, Data: port(highPort)},
			&expr.Immediate{Register: unix.NFT_REG_3, Data: port(65535)})
	}
	return append(exprs, nat)
}

// rule counts the flows of a client and port, and stops before the grant is asked for
// when they are too many.
func (k class) rule() rule {
	f := k.family()
	return rule{k.chain(), "over the limit", join(f.clientAndPort(), one(&expr.Dynset{
		SrcRegKey: 1, SetName: k.live(), SetID: setID(k.live()), Operation: unix.NFT_DYNSET_OP_ADD,
		Exprs: one(&expr.Connlimit{Count: uint32(k.limit), Flags: expr.NFT_CONNLIMIT_F_INV}),
	}), counted(limited), verdict(expr.VerdictAccept))}
}

// aboutRule does nothing; its comment says which layout this is, and of what content.
func (l layout) aboutRule() rule {
	return rule{about, fmt.Sprintf(aboutFormat, version, l.fingerprint()), verdict(expr.VerdictReturn)}
}

// aboutFormat is the comment of the rule that identifies a table.
const aboutFormat = "layout %d, content %16s"

// fingerprint is the same for the same layout: a table that has it is what is wanted.
func (l layout) fingerprint() string {
	h := sha256.New()
	for _, r := range l.rules {
		fmt.Fprintf(h, "%s %s\n", r.chain, r.comment)
		for _, e := range r.exprs {
			b, err := expr.Marshal(unix.NFPROTO_INET, e)
			fmt.Fprintln(h, b, err)
		}
	}
	for _, f := range []family{ip4, ip6} {
		for _, e := range l.elements[f.allowed()] {
			fmt.Fprintln(h, e.Key, e.IntervalEnd)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// userData is the comment of a rule as nft keeps it.
func (r rule) userData() []byte {
	return userdata.AppendString(nil, userdata.TypeComment, r.comment)
}
