package node

import (
	"encoding/json"
	"maps"
	"os"

	"vdi-gateway/tests/lab"
)

// Settings are keys of the settings document and their values.
type Settings map[string]any

// The ports of a node on a host that it has for itself.
const (
	APIPort   = 8000
	PortStart = 5900
	PortStop  = 5999
)

// Keys of every node started here.
const (
	apiKey    = "the-dispatchers-key"
	clientKey = "the-clients-key"
	sharedKey = "the-key-of-the-cluster"
)

// forwardingVariable is the forwarding of nodes whose settings say nothing of it.
const forwardingVariable = "VDI_GATEWAY_FORWARDING"

// Kernel tells whether nodes have the kernel move the bytes of sessions: the tests of
// what a client, a VM and an operator see run either way.
func Kernel() bool { return os.Getenv(forwardingVariable) == "kernel" }

// onHost are settings for a node alone on host: everything may be reached in
// the lab's networks, without ticket and as often as wanted.
func onHost(host *lab.Host) Settings {
	return Settings{
		"internal_addrs":   []string{host.Addr().String()},
		"disp_addrs":       []string{},
		"api_port":         APIPort,
		"port_range_start": PortStart,
		"port_range_stop":  PortStop,
		"api_key":          apiKey,
		"cli_key":          clientKey,
		"cluster_key":      sharedKey,
		"forwarding":       Settings{}.forwarding(),
		"limits":           map[string]any{"max_connections": 0, "open_per_client_per_s": 0},
		"targets": map[string]any{
			"allow":          []map[string]any{{"cidr": "10.99.0.0/24"}, {"cidr": "fd99::/64"}},
			"ports":          []string{"1-65535"},
			"require_ticket": false,
		},
	}
}

// forwarding is that of a node with s over the usual settings.
func (s Settings) forwarding() string {
	if mode, said := s["forwarding"].(string); said {
		return mode
	}
	if Kernel() {
		return "kernel"
	}
	return "proxy"
}

// document is the JSON of s over the settings of a node alone on host.
func (s Settings) document(host *lab.Host) ([]byte, error) {
	all := onHost(host)
	maps.Copy(all, s)
	return json.Marshal(all)
}
