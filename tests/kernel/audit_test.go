package kernel

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // the nodes' databases

	"vdi-gateway/tests/node"
)

// row is one of the audit.
type row struct {
	event, id, node, client, vm, mode, reason string
	port, vmPort                              int
	up, down                                  int64
	duration                                  time.Duration
}

// audit reads what a node has written, the oldest first.
func (m *machine) audit() (rows []row) {
	m.r.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+m.config.DB+"?mode=ro")
	m.r.try(err)
	defer db.Close()
	list, err := db.QueryContext(soon(m.r.t), `select event, connection_id, node, client_addr, vm_address, mode, reason,
		port, vm_port, bytes_up, bytes_down, duration from audit order by id`)
	m.r.try(err)
	defer list.Close()
	for list.Next() {
		var r row
		m.r.try(list.Scan(&r.event, &r.id, &r.node, &r.client, &r.vm, &r.mode, &r.reason, &r.port, &r.vmPort, &r.up, &r.down, &r.duration))
		r.duration *= time.Microsecond / time.Nanosecond
		rows = append(rows, r)
	}
	m.r.try(list.Err())
	return rows
}

// audited are the rows of a session that all nodes have written.
func (r *rig) audited(s *session) (opens, closes []row) {
	r.t.Helper()
	for _, m := range r.nodes {
		for _, line := range m.audit() {
			switch {
			case line.id != s.tunnel.ID:
			case line.event == "open":
				opens = append(opens, line)
			default:
				closes = append(closes, line)
			}
		}
	}
	return opens, closes
}

// closed waits for the row that says why a session has ended, and wants it to be one of
// the reasons.
func (r *rig) closed(s *session, reasons ...string) row {
	r.t.Helper()
	var closes []row
	eventually(r.t, fmt.Sprintf("the end of %s is in the audit", s), func() bool {
		_, closes = r.audited(s)
		return len(closes) > 0
	})
	for _, reason := range reasons {
		if closes[0].reason == reason {
			return closes[0]
		}
	}
	r.t.Errorf("%s: got %q as reason in the audit, want one of %q", s, closes[0].reason, reasons)
	return closes[0]
}

// once wants every session to be in the audit with one beginning and one end.
func (c *crowd) once() {
	c.r.t.Helper()
	count := func() (opens, closes map[string]int) {
		opens, closes = map[string]int{}, map[string]int{}
		for _, m := range c.r.nodes {
			for _, line := range m.audit() {
				if line.event == "open" {
					opens[line.id]++
				} else {
					closes[line.id]++
				}
			}
		}
		return opens, closes
	}
	var opens, closes map[string]int
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if opens, closes = count(); len(closes) >= len(c.all) || time.Now().After(end) {
			break
		}
	}
	var wrong []string
	for _, s := range c.all {
		if id := s.tunnel.ID; !c.r.moved(s.began) && (opens[id] != 1 || closes[id] != 1) {
			wrong = append(wrong, fmt.Sprintf("%s: %d beginnings and %d ends", s, opens[id], closes[id]))
		}
	}
	if len(wrong) > 0 {
		c.r.t.Errorf("the audit is wrong for %d of %d sessions, such as:", len(wrong), len(c.all))
	}
	for _, text := range some(wrong) {
		c.r.t.Error(text)
	}
}

// listed is what get_connections says of one connection.
type listed struct {
	ID        string  `json:"connection_id"`
	Node      string  `json:"node"`
	State     string  `json:"state"`
	User      string  `json:"user"`
	VMAddress string  `json:"vm_address"`
	VMPort    int     `json:"vm_port"`
	Client    string  `json:"client_addr"`
	Port      uint16  `json:"port"`
	Mode      string  `json:"mode"`
	Channels  int     `json:"channels"`
	Up        int64   `json:"bytes_up"`
	Down      int64   `json:"bytes_down"`
	Connected *string `json:"connected_at"`
	Activity  *string `json:"last_activity_at"`
}

// connections asks a node for those of the whole cluster, by their id.
func connections(t testing.TB, d *node.Client) map[string]listed {
	t.Helper()
	var answer struct{ Connections []listed }
	if err := d.Call(soon(t), "GET", "/v3/get_connections/?scope=cluster&limit=10000", nil, &answer); err != nil {
		t.Fatal(err)
	}
	all := map[string]listed{}
	for _, l := range answer.Connections {
		all[l.ID] = l
	}
	return all
}

// shown waits until a node lists every session as active, with one channel, and says where.
func (c *crowd) shown(m *machine) {
	c.r.t.Helper()
	var missing []string
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		missing = nil
		all := connections(c.r.t, m.api)
		for _, s := range c.living() {
			l := all[s.tunnel.ID]
			if l.State != "active" || l.Channels != 1 || l.Client != s.from.String() || l.Port != s.tunnel.Port || l.Node != m.host.Addr().String() {
				missing = append(missing, fmt.Sprintf("%s: %+v", s, l))
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	c.r.t.Errorf("got %d of %d sessions that %s does not list as its own and active, such as:", len(missing), len(c.living()), m.host.Name())
	for _, text := range some(missing) {
		c.r.t.Error(text)
	}
}

// disconnect has a node end sessions, and wants it to say that all have ended. While a node
// has just died it may say that it has not been heard; then it is asked again.
func (m *machine) disconnect(sessions ...*session) {
	m.r.t.Helper()
	left := map[string]bool{}
	for _, s := range sessions {
		s.doomed = true
		left[s.tunnel.ID] = true
	}
	for end := time.Now().Add(patience); len(left) > 0; time.Sleep(pollEvery) {
		var answer struct {
			Disconnected []string
			MissingNodes []string `json:"missing_nodes"`
		}
		err := m.api.Call(soon(m.r.t), "POST", "/v3/disconnect/", map[string]any{"connection_ids": slices.Collect(maps.Keys(left))}, &answer)
		for _, id := range answer.Disconnected {
			delete(left, id)
		}
		if len(left) == 0 {
			return
		}
		m.r.t.Logf("disconnect: %d have not ended, nodes %s did not answer: %v", len(left), answer.MissingNodes, err)
		if err != nil || len(answer.MissingNodes) == 0 || time.Now().After(end) {
			m.r.t.Errorf("disconnect: got %d of %d that have not ended, and nobody who did not answer", len(left), len(sessions))
			return
		}
	}
}
