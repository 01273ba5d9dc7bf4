package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/api/peer"
	"vdi-gateway/vrrp"
)

// lookTime bounds what a doctor asks of one other: who takes longer does not answer.
const lookTime = 4 * time.Second

// ownHealth is what the node here says of itself.
type ownHealth struct {
	api.Health
	err error // it gave no answer
}

// askOwn asks the running node.
func (p patient) askOwn(ctx context.Context) (h ownHealth) {
	if !p.running() {
		h.err = errors.New("no node runs")
		return h
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	_, h.err = healthOf(ctx, nodeClient(p.s, apiAddr(p.s, p.node)), &h.Health)
	return h
}

// healthOf asks a node for its health; one that does not serve answers too.
func healthOf(ctx context.Context, c *client, h *api.Health) (http.Header, error) {
	var raw json.RawMessage
	header, err := c.callFor(ctx, "GET", "/v3/health/", nil, &raw, nil)
	if err != nil && !isStatus(err, http.StatusServiceUnavailable) {
		return header, err
	}
	if err := json.Unmarshal(raw, h); err != nil {
		return header, fmt.Errorf("the node's answer is not understood: %w", err)
	}
	return header, nil
}

// healthFinding repeats what the node finds wrong itself: it looks from within.
func healthFinding(pid int, h ownHealth) finding {
	const name = "health"
	if pid == 0 {
		return fine(name, "no node runs: what follows is about one that is to be started")
	}
	if h.err != nil {
		return failed(name, "see its journal: journalctl -u vdi-gateway; if it hangs, restart it", "process %d runs on the database, but does not answer: %v", pid, h.err)
	}
	var wrong []string
	for _, c := range h.Checks {
		if !c.OK {
			wrong = append(wrong, c.Name+": "+c.Detail)
		}
	}
	for _, d := range h.Dispatchers {
		if !d.OK {
			wrong = append(wrong, "dispatcher "+d.Addr+" does not answer")
		}
	}
	text := strings.Join(wrong, "; ")
	switch {
	case h.Status == "ok":
		return fine(name, "the node serves, %d connections", h.Capacity.Used)
	case h.Status == "draining":
		return warned(name, "end it when you are done: POST /v3/drain/", "the node drains: it takes no new sessions. %s", text)
	case h.Status == "disabled":
		return warned(name, "set is_enabled to true when it shall serve", "is_enabled is false: the node serves nobody")
	case h.Status == "degraded":
		return warned(name, "see the checks below and vdi-gateway status", "the node serves, but: %s", text)
	}
	return failed(name, "see the checks below and vdi-gateway status", "the node does not serve (%s): %s", h.Status, text)
}

// fellowState is how another node answered.
type fellowState struct {
	node          netip.Addr
	health        api.Health
	err           error
	before, after time.Time // own clock around the answer
	date          time.Time // of the answer; zero: it had none
}

// askFellows asks all other nodes at once.
func (p patient) askFellows(ctx context.Context) []fellowState {
	if p.s.VirtualAddr == "" {
		return nil
	}
	nodes := slices.DeleteFunc(nodesOf(p.s), func(a netip.Addr) bool { return a == p.node })
	list := make([]fellowState, len(nodes))
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	var group sync.WaitGroup
	for i, node := range nodes {
		group.Go(func() { list[i] = p.askFellow(ctx, node) })
	}
	group.Wait()
	return list
}

func (p patient) askFellow(ctx context.Context, node netip.Addr) fellowState {
	f := fellowState{node: node}
	c := nodeClient(p.s, node)
	// The first answer may take as long as a check through a tunnel; a second one is quick.
	if _, f.err = healthOf(ctx, c, &f.health); f.err != nil {
		return f
	}
	f.before = time.Now()
	header, err := healthOf(ctx, c, &f.health)
	f.after, f.err = time.Now(), err
	f.date, _ = http.ParseTime(header.Get("Date")) // zero without one
	return f
}

// fellowFindings compare the other nodes with this one.
func fellowFindings(revision int64, list []fellowState) []finding {
	var all []finding
	for _, f := range list {
		if f.err != nil {
			all = append(all, silentFinding(f))
			continue
		}
		all = append(all, clockFinding(f), revisionFinding(f, revision), versionFinding(f))
	}
	return all
}

func silentFinding(f fellowState) finding {
	const name = "peers"
	switch {
	case isStatus(f.err, http.StatusUnauthorized), isStatus(f.err, http.StatusForbidden):
		return failed(name, "it has other settings: compare vdi-gateway settings history on both; join makes it a node again", "node %s does not know the api_key of this one", f.node)
	case untrusted(f.err):
		return failed(name, "compare cluster_key and ssl on both nodes", "node %s shows a certificate that no node of this cluster has: %v", f.node, f.err)
	}
	return failed(name, "start it, or see what keeps this host from its api_port (firewall, access, route); a node that is gone for good: vdi-gateway leave", "node %s does not answer: %v", f.node, f.err)
}

// Skews of clocks that are told: Date has whole seconds, and from peer.MaxSkew on nodes do
// not understand each other.
const skewTold = time.Second

// skew is by how much another clock is ahead of this one at the least, negative: behind;
// 0: they may be the same. before and after are the own clock when the other one showed
// date, which it cut to whole seconds.
func skew(before, after, date time.Time) time.Duration {
	low, high := date.Sub(after), date.Add(time.Second).Sub(before)
	switch {
	case low > 0:
		return low
	case high < 0:
		return high
	}
	return 0
}

func clockFinding(f fellowState) finding {
	const name = "clock"
	const do = "have both hosts follow the same time servers (systemd-timesyncd, chrony)"
	if f.date.IsZero() {
		return unknown(name, "compare the clocks with date -u", "node %s does not say what time it is", f.node)
	}
	by := skew(f.before, f.after, f.date)
	where := "ahead of"
	if by < 0 {
		where = "behind"
	}
	switch size := by.Abs(); {
	case size >= peer.MaxSkew:
		return failed(name, do, "the clock of node %s is at least %s %s this one's: nodes refuse each other's requests from %s on", f.node, size.Round(time.Second), where, peer.MaxSkew)
	case size >= skewTold:
		return warned(name, do, "the clock of node %s is at least %s %s this one's; at %s nodes refuse each other's requests", f.node, size.Round(time.Second), where, peer.MaxSkew)
	}
	return fine(name, "that of node %s is the same as here, within two seconds", f.node)
}

func revisionFinding(f fellowState, own int64) finding {
	const name = "revisions"
	if got := f.health.SettingsRevision; got != own {
		return failed(name, "the one that is behind takes the newer settings when it hears the other: look whether both run and reach each other's api_port; else join the one that is wrong again", "node %s has revision %d of the settings, this one %d", f.node, got, own)
	}
	return fine(name, "node %s has revision %d of the settings, as this one", f.node, own)
}

func versionFinding(f fellowState) finding {
	const name = "versions"
	if f.health.Version != version {
		return warned(name, "upgrade the older one: different versions are meant for the time of an upgrade", "node %s runs version %s, this program is %s", f.node, f.health.Version, version)
	}
	return fine(name, "node %s runs version %s, as this one", f.node, version)
}

// activeAmong are the other nodes that say of themselves to be active.
func activeAmong(list []fellowState) (active []netip.Addr) {
	for _, f := range list {
		if f.err == nil && f.health.Role == string(vrrp.RoleActive) {
			active = append(active, f.node)
		}
	}
	return active
}

// dispatcherState is how a dispatcher was found.
type dispatcherState struct {
	host  string
	took  time.Duration // to resolve its name
	addrs []netip.Addr
	dns   error
	dial  error // of all of them
}

// slowName is when a name takes so long that users notice.
const slowName = time.Second

func dispatcherFindings(list []dispatcherState) []finding {
	const name = "dispatchers"
	up := slices.ContainsFunc(list, func(d dispatcherState) bool { return d.dns == nil && d.dial == nil })
	grave := failed
	if up {
		grave = warned // the service tunnel has another one
	}
	var all []finding
	for _, d := range list {
		switch {
		case d.dns != nil:
			all = append(all, grave(name, "correct disp_addrs, or the name servers in /etc/resolv.conf; an IP address needs none", "%s cannot be resolved: %v", d.host, d.dns))
		case d.dial != nil:
			all = append(all, grave(name, "see whether it runs, disp_port is right and no firewall is between", "%s does not answer: %v", d.host, d.dial))
		case d.took >= slowName:
			all = append(all, warned(name, "see to the name servers in /etc/resolv.conf", "the name %s took %s to resolve", d.host, d.took.Round(time.Millisecond)))
		default:
			all = append(all, fine(name, "%s answers", d.host))
		}
	}
	if len(list) == 0 {
		return []finding{fine(name, "disp_addrs is empty: there is no service tunnel")}
	}
	return all
}

func (p patient) dispatchers(ctx context.Context) []finding {
	list := make([]dispatcherState, len(p.s.DispAddrs))
	var group sync.WaitGroup
	for i, host := range p.s.DispAddrs {
		group.Go(func() { list[i] = lookForDispatcher(ctx, host, fmt.Sprint(p.s.DispPort)) })
	}
	group.Wait()
	return dispatcherFindings(list)
}

func lookForDispatcher(ctx context.Context, host, port string) dispatcherState {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	d := dispatcherState{host: net.JoinHostPort(host, port)}
	began := time.Now()
	d.addrs, d.dns = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	d.took = time.Since(began)
	for _, a := range d.addrs {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			_ = conn.Close()
			d.dial = nil
			return d
		}
		d.dial = errors.Join(d.dial, err)
	}
	return d
}
