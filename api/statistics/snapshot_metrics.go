package statistics

import "github.com/prometheus/client_golang/prometheus"

// maxLabels bounds the series of one metric: 16 nodes behind a few frontends.
const maxLabels = 128

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// roles are the states of VRRP that a node can show.
var roles = []string{"active", "backup", "fault", "none"}

var buildInfo = describe("build_info", "Always 1; the version of this node.", "version")

// plain are the metrics without labels.
var plain = []struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*Snapshot) float64
}{
	{describe("ready", "1 when the node takes sessions, as /readyz says."), gauge, func(s *Snapshot) float64 { return number(s.Ready) }},
	{describe("draining", "1 when the node takes no new sessions on request."), gauge, func(s *Snapshot) float64 { return number(s.Draining) }},
	{describe("settings_revision", "Revision of the settings that are applied."), gauge, func(s *Snapshot) float64 { return float64(s.Revision) }},
	{describe("sessions", "Grants in use."), gauge, func(s *Snapshot) float64 { return float64(s.Sessions) }},
	{describe("grants", "Grants reserved and not used yet."), gauge, func(s *Snapshot) float64 { return float64(s.Grants) }},
	{describe("channels", "Open connections and WebSockets of sessions."), gauge, func(s *Snapshot) float64 { return float64(s.Channels) }},
	{describe("forwarded", "Open connections that came for another node and are carried to it."), gauge, func(s *Snapshot) float64 { return float64(s.Forwarded) }},
	{describe("sessions_limit", "Most sessions and grants at once; 0 is no limit."), gauge, func(s *Snapshot) float64 { return float64(s.MaxConnections) }},
	{describe("free_ports", "Ports of the range without any grant."), gauge, func(s *Snapshot) float64 { return float64(s.FreePorts) }},
	{describe("access_denied_total", "Clients that the access list kept out."), counter, func(s *Snapshot) float64 { return float64(s.Denied) }},
	{describe("relay_loops", "Event loops that move bytes."), gauge, func(s *Snapshot) float64 { return float64(s.Relay.Loops) }},
	{describe("relay_pairs", "Connections joined with another."), gauge, func(s *Snapshot) float64 { return float64(s.Relay.Pairs) }},
	{describe("relay_pipes", "Pipes lent to fast streams or kept for the next."), gauge, func(s *Snapshot) float64 { return float64(s.Relay.Pipes) }},
	{describe("relay_spliced_bytes_total", "Bytes the kernel moved without the process touching them."), counter, func(s *Snapshot) float64 { return float64(s.Relay.Spliced) }},
}

// shown is a metric with a series per label; each calls add for every one.
type shown struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	each func(s *Snapshot, add func(v float64, labels ...string))
}

// ofKernel adds nothing for a node whose kernel carries no tunnels.
func ofKernel(of func(*Kernel) float64) func(*Snapshot, func(float64, ...string)) {
	return func(s *Snapshot, add func(float64, ...string)) {
		if s.Kernel != nil {
			add(of(s.Kernel))
		}
	}
}

// labelled are the metrics that may have labels.
var labelled = []shown{
	{describe("role", "1 for the node's role on the virtual address, 0 for the others.", "role"), gauge, eachRole},
	{describe("bytes_total", "Bytes of sessions: up is from clients to VMs.", "direction"), counter, func(s *Snapshot, add func(float64, ...string)) {
		add(float64(s.BytesUp), "up")
		add(float64(s.BytesDown), "down")
	}},
	{describe("kernel_flows", "Connections that the kernel carries."), gauge, ofKernel(func(k *Kernel) float64 { return float64(k.Flows) })},
	{describe("kernel_refused_total", "Connections that the kernel reset: without a grant, or too many."), counter, ofKernel(func(k *Kernel) float64 { return float64(k.Refused) })},
	{describe("kernel_limited_total", "Those of them that were too many for their grant."), counter, ofKernel(func(k *Kernel) float64 { return float64(k.Limited) })},
	{describe("kernel_dropped_packets_total", "Packets that belonged to no connection."), counter, ofKernel(func(k *Kernel) float64 { return float64(k.Dropped) })},
	{describe("dispatchers", "Targets of the service tunnel by the outcome of their last check.", "state"), gauge, func(s *Snapshot, add func(float64, ...string)) {
		add(float64(s.Dispatchers.Up), "up")
		add(float64(s.Dispatchers.Down), "down")
	}},
	{describe("cluster_members", "Nodes of the cluster as this node sees them; a node alone is one.", "state"), gauge, eachMember},
	{describe("backend_up", "1 when the node behind the frontend passes its checks.", "front", "node"), gauge, eachBackend(func(b *BackendLine) float64 { return number(b.Up) })},
	{describe("backend_connections", "Open connections from the frontend to the node.", "front", "node"), gauge, eachBackend(func(b *BackendLine) float64 { return float64(b.Connections) })},
	{describe("backend_connections_total", "Connections the frontend has given to the node.", "front", "node"), counter, eachBackend(func(b *BackendLine) float64 { return float64(b.Total) })},
	{describe("directory_records", "Replicated records by kind.", "kind"), gauge, ofDirectory(func(d *Directory, add func(float64, ...string)) { eachKey(d.Records, add) })},
	{describe("directory_bytes", "Size of all replicated records."), gauge, ofDirectory(func(d *Directory, add func(float64, ...string)) { add(float64(d.Bytes)) })},
	{describe("directory_lag_seconds", "Longest time a record of this node waits for a living node to have it."), gauge, ofDirectory(func(d *Directory, add func(float64, ...string)) { add(d.Lag.Seconds()) })},
	{describe("directory_refused_total", "Records of other nodes that were not taken, by why.", "why"), counter, ofDirectory(func(d *Directory, add func(float64, ...string)) { eachKey(d.Refused, add) })},
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("vdigateway_"+name, help, labels, nil)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func eachRole(s *Snapshot, add func(float64, ...string)) {
	for _, r := range roles {
		add(number(r == s.Role), r)
	}
}

func eachMember(s *Snapshot, add func(float64, ...string)) {
	alive := 0
	nodes := s.nodes("")
	for _, n := range nodes {
		if n.Alive {
			alive++
		}
	}
	add(float64(alive), "alive")
	add(float64(len(nodes)-alive), "dead")
}

func eachBackend(of func(*BackendLine) float64) func(*Snapshot, func(float64, ...string)) {
	return func(s *Snapshot, add func(float64, ...string)) {
		for i := range s.Backends {
			b := &s.Backends[i]
			add(of(b), b.Front, b.Node.String())
		}
	}
}

// ofDirectory adds nothing for a node alone.
func ofDirectory(each func(*Directory, func(float64, ...string))) func(*Snapshot, func(float64, ...string)) {
	return func(s *Snapshot, add func(float64, ...string)) {
		if s.Directory != nil {
			each(s.Directory, add)
		}
	}
}

func eachKey[N int | uint64](counts map[string]N, add func(float64, ...string)) {
	for key, n := range counts {
		add(float64(n), key)
	}
}
