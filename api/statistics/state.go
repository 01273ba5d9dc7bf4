package statistics

import (
	"encoding/json"
	"net/netip"
)

// state is what the page shows, as template and as /data.json. Bytes are totals
// since the start of the process; times are Unix times in ms.
type state struct {
	Boot        int64          `json:"boot"` // start of the process; another one: start anew
	At          int64          `json:"at"`   // when the state was taken
	Next        int            `json:"next"` // ?since= of the next request
	Version     string         `json:"version"`
	Node        string         `json:"node"`
	Role        string         `json:"role"`
	Status      string         `json:"status"` // ready, draining, not ready
	Revision    int64          `json:"revision"`
	Sessions    int            `json:"sessions"`
	Grants      int            `json:"grants"`
	Channels    int            `json:"channels"`
	Forwarded   int            `json:"forwarded"`
	Limit       int            `json:"limit"`
	FreePorts   int            `json:"free_ports"`
	Up          uint64         `json:"up"`
	Down        uint64         `json:"down"`
	Opened      uint64         `json:"opened"`
	Refused     uint64         `json:"refused"`
	Closed      uint64         `json:"closed"`
	Dispatchers [2]int         `json:"dispatchers"` // up, down
	Nodes       []nodeState    `json:"nodes"`
	Backends    []backendState `json:"backends"`
	Points      []point        `json:"points"`
}

type nodeState struct {
	Addr        string `json:"addr"`
	Self        bool   `json:"self"`
	Status      string `json:"status"` // ready, draining, not ready, no answer
	Role        string `json:"role"`
	Connections int    `json:"connections"`
	Revision    int64  `json:"revision"`
	Behind      bool   `json:"behind"` // alive with an older revision than another node
	Version     string `json:"version"`
}

type backendState struct {
	Front       string `json:"front"`
	Node        string `json:"node"`
	Up          bool   `json:"up"`
	Connections int    `json:"connections"`
	Total       uint64 `json:"total"`
}

// MarshalJSON is an array in the order of the fields.
func (p point) MarshalJSON() ([]byte, error) {
	return json.Marshal([...]int64{p.At, int64(p.Sessions), int64(p.Channels), p.Up, p.Down})
}

// state is the newest one, with the points from number first on.
func (s *Server) state(first int) state {
	v := s.history.since(first)
	st := state{
		Boot: s.history.started.UnixMilli(), At: v.At.UnixMilli(), Next: v.Next,
		Version: s.deps.Version, Node: text(v.Node), Role: v.Role,
		Status: status(true, v.Ready, v.Draining), Revision: v.Revision,
		Sessions: v.Sessions, Grants: v.Grants, Channels: v.Channels, Forwarded: v.Forwarded,
		Limit: v.MaxConnections, FreePorts: v.FreePorts, Up: v.BytesUp, Down: v.BytesDown,
		Opened: s.events.totals[0].Load(), Refused: s.events.totals[1].Load(), Closed: s.events.totals[2].Load(),
		Dispatchers: [2]int{v.Dispatchers.Up, v.Dispatchers.Down},
		Nodes:       nodeStates(v.Node, v.nodes(s.deps.Version)), Backends: []backendState{}, Points: v.Points,
	}
	for _, b := range v.Backends {
		st.Backends = append(st.Backends, backendState{b.Front, text(b.Node), b.Up, b.Connections, b.Total})
	}
	return st
}

func nodeStates(self netip.Addr, lines []NodeLine) []nodeState {
	var newest int64
	for _, n := range lines {
		newest = max(newest, n.Revision)
	}
	states := make([]nodeState, 0, len(lines))
	for _, n := range lines {
		states = append(states, nodeState{
			Addr: text(n.Addr), Self: n.Addr == self, Status: status(n.Alive, n.Ready, n.Draining), Role: n.Role,
			Connections: n.Connections, Revision: n.Revision, Behind: n.Alive && n.Revision < newest, Version: n.Version,
		})
	}
	return states
}

// status is a node's state in words.
func status(alive, ready, draining bool) string {
	switch {
	case !alive:
		return "no answer"
	case draining:
		return "draining"
	case ready:
		return "ready"
	default:
		return "not ready"
	}
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return "no address"
	}
	return a.String()
}
