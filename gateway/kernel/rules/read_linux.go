package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// readTries bounds how often the table is read while others change theirs.
const readTries = 20

// present is what the kernel has of our table.
type present struct {
	exists  bool
	version int
	objects []string // as layout.objects, in the same order
	classes []class
	marks   map[string]uint32 // that rules of a chain ask flows for
	grants  map[netip.AddrPort]Grant
}

// read reads the table. What is read in several steps belongs together only if nobody
// has changed anything meanwhile: the kernel counts changes.
func read() (*present, error) {
	for range readTries {
		before, err := generation()
		if err != nil {
			return nil, err
		}
		p, err := readOnce()
		after, genErr := generation()
		if genErr == nil && after == before {
			return p, err
		}
	}
	return nil, errors.New("read nftables: others change it all the time")
}

func readOnce() (*present, error) {
	c, err := connect()
	if err != nil {
		return nil, err
	}
	p := &present{grants: map[netip.AddrPort]Grant{}, marks: map[string]uint32{}}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("read the tables of nftables: %w", err)
	}
	p.exists = slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == tableName })
	if !p.exists {
		return p, nil
	}
	err = errors.Join(p.readChains(c), p.readSets(c), p.readCounters(c))
	slices.Sort(p.objects)
	return p, err
}

func (p *present) readChains(c *nftables.Conn) error {
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("read the chains of table %s: %w", tableName, err)
	}
	for _, ch := range chains {
		if ch.Table.Name != tableName {
			continue
		}
		p.objects = append(p.objects, describeChain(ch))
		rules, err := c.GetRules(table(), ch)
		if err != nil {
			return fmt.Errorf("read chain %s: %w", ch.Name, err)
		}
		for i, r := range rules {
			comment, _ := userdata.GetString(r.UserData, userdata.TypeComment)
			p.objects = append(p.objects, describeRule(ch.Name, i, comment))
			if mark := markOf(r.Exprs); mark != 0 {
				p.marks[ch.Name] = mark
			}
			if ch.Name == about {
				_, _ = fmt.Sscanf(comment, aboutFormat, &p.version, new(string)) // else it stays 0, which no layout is
			}
		}
	}
	return nil
}

// readSets reads which sets there are, and the grants.
func (p *present) readSets(c *nftables.Conn) error {
	sets, err := c.GetSets(table())
	if err != nil {
		return fmt.Errorf("read the sets of table %s: %w", tableName, err)
	}
	maps := map[string]*nftables.Set{}
	for _, s := range sets {
		p.objects = append(p.objects, "set "+s.Name)
		maps[s.Name] = s
		if k, ok := classOf(s.Name, "live"); ok {
			p.classes = append(p.classes, k)
		}
	}
	slices.SortFunc(p.classes, class.compare)
	for _, f := range []family{ip4, ip6} {
		err := errors.Join(p.readGrants(c, maps[f.grants()], maps[f.limits()]), p.readRelayed(c, maps[f.relayed()]))
		if err != nil {
			return err
		}
	}
	return nil
}

// readRelayed reads the relayed grants of a family. Who is led to a VM as well is not
// relayed: that is asked first.
func (p *present) readRelayed(c *nftables.Conn, relayed *nftables.Set) error {
	if relayed == nil {
		return nil
	}
	keys, err := c.GetSetElements(relayed)
	if err != nil {
		return fmt.Errorf("read set %s: %w", relayed.Name, err)
	}
	for _, e := range keys {
		key, ok := decode(e.Key)
		if _, led := p.grants[key]; ok && !led {
			p.grants[key] = Grant{Client: key.Addr(), Port: key.Port()}
		}
	}
	return nil
}

// readGrants reads the grants of a family, and their limits. What it does not
// understand is of another version, and left out.
func (p *present) readGrants(c *nftables.Conn, grants, limits *nftables.Set) error {
	if grants == nil || limits == nil {
		return nil
	}
	vms, err := c.GetSetElements(grants)
	if err != nil {
		return fmt.Errorf("read map %s: %w", grants.Name, err)
	}
	chains, err := c.GetSetElements(limits)
	if err != nil {
		return fmt.Errorf("read map %s: %w", limits.Name, err)
	}
	for _, e := range vms {
		key, ok := decode(e.Key)
		vm, okToo := decode(e.Val)
		if ok && okToo {
			p.grants[key] = Grant{Client: key.Addr(), Port: key.Port(), VM: vm}
		}
	}
	for _, e := range chains {
		key, _ := decode(e.Key)
		k, ok := classOf(chainOf(e.Val), "limit")
		if g, found := p.grants[key]; ok && found {
			g.Limit = k.limit
			p.grants[key] = g
		}
	}
	return nil
}

func (p *present) readCounters(c *nftables.Conn) error {
	counters, err := readCounters(c)
	for name := range counters {
		p.objects = append(p.objects, "counter "+name)
	}
	return err
}

// classOf reads a class from the name of its chain or set.
func classOf(name, kind string) (class, bool) {
	var suffix, limit int
	_, err := fmt.Sscanf(name, kind+"%1d_%d", &suffix, &limit)
	return class{fmt.Sprint(suffix), limit}, err == nil
}

// chainOf is the chain in the value of a verdict map, which the library leaves as the
// kernel sends it: a code, and where to go.
func chainOf(value []byte) string {
	attributes, err := netlink.NewAttributeDecoder(value)
	if err != nil {
		return ""
	}
	attributes.ByteOrder = binary.BigEndian
	for attributes.Next() {
		if attributes.Type() == unix.NFTA_VERDICT_CHAIN {
			return attributes.String()
		}
	}
	return ""
}

// objects describes every object of the layout, as read describes what is present.
func (l layout) objects() []string {
	var all []string
	for _, ch := range l.chains {
		all = append(all, describeChain(ch.nft()))
	}
	places := map[string]int{}
	for _, r := range l.rules {
		all = append(all, describeRule(r.chain, places[r.chain], r.comment))
		places[r.chain]++
	}
	for _, s := range l.sets {
		all = append(all, "set "+s.Name)
	}
	for _, name := range counterNames {
		all = append(all, "counter "+name)
	}
	slices.Sort(all)
	return all
}

func describeChain(c *nftables.Chain) string {
	text := "chain " + c.Name
	if c.Hooknum != nil && c.Priority != nil && c.Policy != nil {
		text += fmt.Sprintf(" type %s hook %d priority %d policy %d", c.Type, *c.Hooknum, *c.Priority, *c.Policy)
	}
	return text
}

const rulePrefix = "rule "

func describeRule(chain string, place int, comment string) string {
	return fmt.Sprintf(rulePrefix+"%s %03d: %s", chain, place, comment)
}
