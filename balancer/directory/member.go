package directory

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// Status is what a node tells of itself. Role and Version are cut to 64 bytes.
type Status struct {
	Role            string // in VRRP
	Revision        int64  // of its settings
	Connections     int
	Draining, Ready bool
	Version         string
}

// Member is a node as this one sees it. Status is the last one heard.
type Member struct {
	Node        netip.Addr
	Alive, Self bool
	Since       time.Time // when Alive became what it is; zero: before this node saw anything
	Status
}

// membership knows which peers are alive and carries their status.
type membership interface {
	Apply(cfg Config) error
	// Run calls changed after Alive may have changed.
	Run(ctx context.Context, changed func()) error
	// Alive returns the peers that are alive, and what each gave SetStatus.
	Alive() map[netip.Addr][]byte
	SetStatus(status []byte)
	// Refused counts packets and streams that were not a peer's.
	Refused() uint64
}

// Members returns this node and all peers in the order of Config.Peers; this node
// comes first if it is not among them. Peers answer for themselves only: Self is
// always alive.
func (d *Directory) Members() []Member {
	d.mu.RLock()
	defer d.mu.RUnlock()
	nodes := d.cfg.Peers
	if !slices.Contains(nodes, d.cfg.Node) {
		nodes = slices.Concat([]netip.Addr{d.cfg.Node}, nodes)
	}
	members := make([]Member, 0, len(nodes))
	for _, node := range nodes {
		m := Member{Node: node, Alive: true, Self: true, Status: d.status}
		if l := d.links[node]; l != nil {
			m = Member{Node: node, Alive: l.alive, Since: l.since, Status: l.status}
		}
		members = append(members, m)
	}
	return members
}

// SetStatus tells the peers what this node says of itself, within about a second.
func (d *Directory) SetStatus(s Status) {
	s.Role, s.Version = s.Role[:min(len(s.Role), maxText)], s.Version[:min(len(s.Version), maxText)]
	d.mu.Lock()
	same := d.status == s
	d.status = s
	d.mu.Unlock()
	if !same {
		d.gossip.SetStatus(s.encode())
	}
}

const maxText = 64 // bytes of each text in a Status

// encode makes the form in which a status travels, less than 200 bytes.
func (s Status) encode() []byte {
	b := []byte{version, flag(s.Draining, 1) | flag(s.Ready, 2)}
	b = binary.AppendVarint(b, s.Revision)
	b = binary.AppendVarint(b, int64(s.Connections))
	for _, text := range []string{s.Role, s.Version} {
		b = append(b, byte(len(text)))
		b = append(b, text...)
	}
	return b
}

// decodeStatus reads one; what is not one is the zero Status.
func decodeStatus(b []byte) Status {
	d := &decoder{b: b}
	d.must(d.byte() == version)
	flags := d.byte()
	s := Status{Draining: flags&1 != 0, Ready: flags&2 != 0}
	s.Revision, s.Connections = d.signed(), int(d.signed())
	s.Role, s.Version = d.text(maxText), d.text(maxText)
	if d.bad {
		return Status{}
	}
	return s
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) text(most int) string {
	b := d.bytes(int(d.byte()))
	d.must(len(b) <= most)
	return string(b)
}
