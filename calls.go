package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"sync"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/api/peer"
	"vdi-gateway/gateway"
)

// What nodes ask each other for.
const (
	callACME         = "acme"
	callDirectory    = "directory"
	callConnections  = "connections"
	callDisconnect   = "disconnect"
	callDrain        = "drain"
	callFailover     = "failover"
	callReopen       = "reopen"
	callSettings     = "settings"
	callTicketUse    = "ticket-use"
	callTicketReturn = "ticket-return"
)

// askTime bounds a request to another node that somebody waits for.
const askTime = 3 * time.Second

// answerPeers has this node answer what others ask of it.
func (a *app) answerPeers() {
	s := a.cluster.internal
	s.Handle(callConnections, answer(func(_ context.Context, f gateway.Filter) (page, error) {
		list, total := a.gateway.Connections(f)
		return page{list, total}, nil
	}))
	s.Handle(callDisconnect, answer(func(ctx context.Context, r disconnection) (ended, error) {
		ids, missing, err := a.gateway.Disconnect(ctx, r.Selector, r.Detail)
		return ended{ids, missing}, err
	}))
	s.Handle(callDrain, answer(func(ctx context.Context, on bool) (bool, error) {
		return on, a.drainHere(ctx, on)
	}))
	s.Handle(callFailover, answer(func(ctx context.Context, _ struct{}) (string, error) { return a.yield(ctx) }))
	s.Handle(callACME, answer(a.acme.Receive))
	s.Handle(callSettings, a.agreement.Receive)
	s.Handle(callReopen, answer(func(ctx context.Context, r gateway.Reopening) (gateway.Grant, error) {
		return a.gateway.Reopen(peer.Allow(ctx), r) // the others hear of its token
	}))
	s.Handle(callTicketUse, answer(a.tickets.useFor))
	s.Handle(callTicketReturn, answer(a.tickets.returnFor))
}

// page is a node's share of a listing.
type page struct {
	Connections []gateway.Connection
	Total       int
}

// disconnection asks a node to end connections.
type disconnection struct {
	Selector gateway.Selector
	Detail   string
}

// ended is what a node has ended, and which ids it does not know.
type ended struct{ Ended, Missing []gateway.ConnectionID }

// answer makes a handler of a func over JSON.
func answer[Q, A any](do func(context.Context, Q) (A, error)) func(context.Context, netip.Addr, []byte) ([]byte, error) {
	return func(ctx context.Context, _ netip.Addr, body []byte) ([]byte, error) {
		var q Q
		if err := json.Unmarshal(body, &q); err != nil {
			return nil, err
		}
		got, err := do(ctx, q)
		if err != nil {
			return nil, err
		}
		return json.Marshal(got)
	}
}

// ask asks one node.
func ask[A any](ctx context.Context, c *cluster, node netip.Addr, name string, question any) (A, error) {
	var got A
	body, err := json.Marshal(question)
	if err != nil {
		return got, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	reply, err := c.peers.Call(ctx, node, name, body)
	if err != nil {
		return got, err
	}
	return got, json.Unmarshal(reply, &got)
}

// askOthers asks all other living nodes at once. The answers are in no order;
// the error is an *api.Incomplete and names those that gave none.
func askOthers[A any](ctx context.Context, c *cluster, name string, question any) ([]A, error) {
	var mu sync.Mutex
	var all []A
	var silent []netip.Addr
	var group sync.WaitGroup
	for _, node := range c.others() {
		group.Go(func() {
			got, err := ask[A](ctx, c, node, name, question)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				c.log.WithError(err).WithField("node", node).Warn("a node gives no answer to: " + name)
				silent = append(silent, node)
				return
			}
			all = append(all, got)
		})
	}
	group.Wait()
	if len(silent) > 0 {
		slices.SortFunc(silent, netip.Addr.Compare)
		return all, &api.Incomplete{Nodes: silent}
	}
	return all, nil
}

// wide speaks for all nodes; see api.Cluster.
type wide struct{ *app }

// Connections lists the connections of all nodes.
func (w wide) Connections(ctx context.Context, f gateway.Filter) ([]gateway.Connection, int, error) {
	list, total := w.gateway.Connections(f)
	pages, err := askOthers[page](ctx, w.cluster, callConnections, f)
	for _, p := range pages {
		list, total = append(list, p.Connections...), total+p.Total
	}
	known := len(list)
	list = once(list)
	return list, total - known + len(list), err
}

// once leaves one entry of each connection. For a moment two nodes have one whose client has
// come to the other one: then that of who has more to tell of it counts.
func once(list []gateway.Connection) []gateway.Connection {
	at := map[gateway.ConnectionID]int{}
	left := list[:0]
	for _, c := range list {
		i, twice := at[c.ID]
		switch {
		case !twice:
			at[c.ID] = len(left)
			left = append(left, c)
		case left[i].ConnectedAt.Before(c.ConnectedAt):
			left[i] = c
		}
	}
	return left
}

// Disconnect ends connections wherever they are. An id is missing when no node
// knows it.
func (w wide) Disconnect(ctx context.Context, s gateway.Selector, detail string) (all, missing []gateway.ConnectionID, err error) {
	all, missing, err = w.gateway.Disconnect(ctx, s, detail)
	answers, silent := askOthers[ended](ctx, w.cluster, callDisconnect, disconnection{s, detail})
	for _, a := range answers {
		all = append(all, a.Ended...)
	}
	missing = slices.DeleteFunc(missing, func(id gateway.ConnectionID) bool { return slices.Contains(all, id) })
	if err == nil {
		err = silent
	}
	return all, missing, err
}

// Knows tells whether the document lists a node.
func (w wide) Knows(node netip.Addr) bool {
	s, _ := w.Current()
	return slices.Contains(nodesOf(s), node)
}

// Forward is the API of another node.
func (w wide) Forward(node netip.Addr) netip.AddrPort {
	s, _ := w.Current()
	return netip.AddrPortFrom(node, port(s.APIPort))
}

// drain turns draining of a node on or off, for good. "" is this node.
func (a *app) drain(ctx context.Context, node string, on bool) error {
	a.mu.Lock()
	own, nodes := a.node, nodesOf(a.current.Settings)
	a.mu.Unlock()
	addr, err := netip.ParseAddr(node)
	addr = addr.Unmap()
	switch {
	case node == "" || err == nil && addr == own:
		return a.drainHere(ctx, on)
	case err != nil || !slices.Contains(nodes, addr):
		return api.ErrNoSuchNode
	}
	if _, err = ask[bool](ctx, a.cluster, addr, callDrain, on); err != nil {
		return &api.NodeRejected{Node: addr.String(), Reason: err.Error()}
	}
	return nil
}

func (a *app) drainHere(ctx context.Context, on bool) error {
	value := ""
	if on {
		value = "on"
	}
	if err := a.store.SetState(ctx, drainKey, value); err != nil {
		return err
	}
	a.gateway.SetDrain(on)
	a.log.WithField("on", on).Info("drain changed by the dispatcher")
	return nil
}
