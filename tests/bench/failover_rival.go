package main

import (
	"maps"
	"path/filepath"
	"time"

	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/node"
)

// rival is the product or a peer: it starts a router as the node at a place in the
// list, which is preferred by that.
type rival struct {
	name    string
	clients int           // addresses of the client's host
	warm    time.Duration // more time to settle
	start   starter
	legs    bool // nodes are in a second network as well, where a VM is; no pulse is sent
}

type starter func(p *pair, place int, interval time.Duration, dir string) (*peer.Router, error)

// ours is the whole product, as `vdi-gateway run`.
func (f *failover) ours() rival {
	return rival{name: "ours", clients: 1, start: f.oursWith(nil)}
}

// oursWith starts nodes with more settings.
func (f *failover) oursWith(more node.Settings) starter {
	return func(p *pair, place int, interval time.Duration, dir string) (*peer.Router, error) {
		s := node.Settings{
			"internal_addrs": p.addrs(), "virtual_addr": p.virtual.String(),
			"vrrp": map[string]any{"advert_ms": interval.Milliseconds()},
		}
		maps.Copy(s, more)
		n, err := node.Start(p.hosts[place], node.Config{Binary: f.binary, DB: filepath.Join(dir, "settings.db"), Settings: s})
		if err != nil {
			return nil, err
		}
		p.key = n.ClientKey()
		return peer.RouterOf(n), nil
	}
}

// keepalived is Keepalived with the priorities that the product has by default.
func keepalived() rival {
	return rival{name: "keepalived", clients: 1, start: func(p *pair, place int, interval time.Duration, dir string) (*peer.Router, error) {
		return peer.Keepalived(p.hosts[place], peer.VRRP{Virtual: p.virtual, Priority: 254 - 10*place, Interval: interval}, dir)
	}}
}
