package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Findings are what stands against the data path on this host, in words for whoever
// operates it.
type Findings struct {
	// Missing is what the kernel does not have or does not allow: there can be no table.
	Missing []string
	// Warnings are of what may keep packets of ours from their way all the same.
	Warnings []string
}

// Check looks at the kernel and at the tables of others, and changes nothing: what it
// tries is refused as a whole. mark is the one of our flows, by which others can let
// them through.
func Check(mark uint32) Findings {
	var f Findings
	if _, err := generation(); err != nil {
		f.Missing = append(f.Missing, unreachable(err))
		return f
	}
	if err := flush([]operation{probe(nil)}); errors.Is(err, os.ErrPermission) {
		f.Missing = append(f.Missing, unreachable(err))
		return f
	}
	for _, p := range features() {
		if !possible(p.operations()) {
			f.Missing = append(f.Missing, fmt.Sprintf("the kernel lacks %s: %s (module %s)", p.name, p.purpose, p.module))
		}
	}
	f.Warnings = warnings(mark, true, true)
	return f
}

// Warnings are those of Check that concern a config.
func Warnings(c Config) []string {
	return warnings(c.Mark, slices.ContainsFunc(c.Virtual, netip.Addr.Is4), slices.ContainsFunc(c.Virtual, netip.Addr.Is6))
}

// warnings are those for flows with a mark, of one family or both.
func warnings(mark uint32, four, six bool) []string {
	var all []string
	if four {
		all = append(all, forwardingWarning("net/ipv4/ip_forward")...)
	}
	if six {
		all = append(all, forwardingWarning("net/ipv6/conf/all/forwarding")...)
	}
	concerned := map[nftables.TableFamily]bool{
		nftables.TableFamilyINet: true, nftables.TableFamilyIPv4: four, nftables.TableFamilyIPv6: six,
	}
	return append(all, chainWarnings(mark, concerned)...)
}

// unreachable says why nftables cannot be spoken to at all.
func unreachable(err error) string {
	if errors.Is(err, os.ErrPermission) {
		return "nftables may not be changed: the capability CAP_NET_ADMIN is missing"
	}
	return fmt.Sprintf("the kernel has no nftables (module nf_tables): %v", err)
}

// feature is something of the kernel that the table takes.
type feature struct {
	name, purpose, module string
	chain                 *nftables.Chain // "" is a chain without a hook
	exprs                 []expr.Any
}

// features are those beside nftables itself.
func features() []feature {
	nat := func(kind expr.NATType) []expr.Any {
		return one(&expr.Immediate{Register: 1, Data: []byte{10, 0, 0, 1}},
			&expr.NAT{Type: kind, Family: unix.NFPROTO_IPV4, RegAddrMin: 1})
	}
	steer := &nftables.Chain{
		Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
	}
	return []feature{
		{"connection tracking", "flows cannot be told from each other", "nf_conntrack", nil, state(expr.CtStateBitNEW)},
		{"marks of flows", "ours cannot be told from others", "nf_conntrack with CONFIG_NF_CONNTRACK_MARK", nil, flowMark(1)},
		{"translation of addresses", "clients cannot be led to VMs", "nft_chain_nat", steer, nil},
		{"DNAT", "clients cannot be led to VMs", "nft_nat", nil, nat(expr.NATTypeDestNAT)},
		{"SNAT", "VMs would answer past the gateway", "nft_nat", nil, nat(expr.NATTypeSourceNAT)},
		{"reject", "nobody can be refused, and no flow be ended", "nft_reject_inet", nil, join(tcp(), reset())},
		{"connection limits", "limits of channels do not hold", "nft_connlimit", nil, one(&expr.Connlimit{Count: 1})},
		{"notrack", "no flow can be ended", "nft_ct", nil, one(&expr.Notrack{})},
	}
}

// operations make a rule with the feature, in a table that no other feature is in.
func (p feature) operations() []operation { return []operation{probe(&p)} }

// probe makes a table that is never there: with a rule that has the feature, or empty.
// Alone it would be done; so the empty one ends with a refusal.
func probe(p *feature) operation {
	return operation{"a table to try", func(c *nftables.Conn) error {
		t := c.AddTable(&nftables.Table{Name: tableName + "-check", Family: nftables.TableFamilyINet})
		if p == nil {
			c.DelChain(&nftables.Chain{Table: t, Name: "never"})
			return nil
		}
		ch := &nftables.Chain{}
		if p.chain != nil {
			ch = p.chain
		}
		ch.Table, ch.Name = t, "try"
		c.AddChain(ch)
		if p.exprs != nil {
			c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: p.exprs})
		}
		return nil
	}}
}

// forwardingWarning looks whether the kernel hands packets on at all.
func forwardingWarning(key string) []string {
	text, err := os.ReadFile("/proc/sys/" + key)
	if err != nil || strings.TrimSpace(string(text)) != "0" {
		return nil
	}
	return []string{fmt.Sprintf("%s is 0: packets are not handed on to VMs", strings.ReplaceAll(key, "/", "."))}
}

// chainWarnings looks for tables whose forward chains drop what they do not accept. A
// packet has to pass every table, so our own accept does not help.
func chainWarnings(mark uint32, concerned map[nftables.TableFamily]bool) []string {
	c, err := connect()
	if err != nil {
		return []string{err.Error()}
	}
	chains, err := c.ListChains()
	if err != nil {
		return []string{fmt.Sprintf("the tables of others cannot be looked at: %v", err)}
	}
	var all []string
	for _, ch := range chains {
		if !concerned[ch.Table.Family] || !dropsForwarded(ch) {
			continue
		}
		rules, err := c.GetRules(ch.Table, ch)
		if err == nil && letsThrough(rules, mark) {
			continue
		}
		family := familyName(ch.Table.Family)
		all = append(all, fmt.Sprintf("table %s %s drops in its chain %s what no rule of it accepts (policy drop), "+
			"and has no rule for sessions of the gateway: unless another rule accepts them, none gets through. "+
			"To let them through: nft insert rule %[1]s %[2]s %[3]s ct mark %#08[4]x accept", family, ch.Table.Name, ch.Name, mark))
	}
	return all
}

func dropsForwarded(c *nftables.Chain) bool {
	return c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward &&
		c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop
}

// familyName is a family that our packets meet, as nft writes it.
func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyINet:
		return "inet"
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	}
	return ""
}

// letsThrough tells whether a rule accepts all packets of our flows: by their mark, or
// because they are translated. Rules that drop them first are not looked for.
func letsThrough(rules []*nftables.Rule, mark uint32) bool {
	for _, r := range rules {
		if acceptsOurs(r.Exprs, mark) {
			return true
		}
	}
	return false
}

// acceptsOurs knows the two rules that nft makes of `ct mark M accept` and `ct status
// dnat accept`, with a counter or without.
func acceptsOurs(exprs []expr.Any, mark uint32) bool {
	var key expr.CtKey
	matched, dnat := false, false
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Counter:
		case *expr.Ct:
			key = e.Key
		case *expr.Bitwise:
			const statusDNAT = 1 << 5
			dnat = key == expr.CtKeySTATUS && string(e.Mask) == string(number(statusDNAT))
		case *expr.Cmp:
			byMark := key == expr.CtKeyMARK && e.Op == expr.CmpOpEq && string(e.Data) == string(number(mark))
			byStatus := dnat && e.Op == expr.CmpOpNeq
			matched = byMark || byStatus
			if !matched {
				return false
			}
		case *expr.Verdict:
			return matched && e.Kind == expr.VerdictAccept
		default:
			return false
		}
	}
	return false
}
