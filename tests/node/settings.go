package node

import (
	"encoding/json"
	"maps"

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
		"limits":           map[string]any{"max_connections": 0, "open_per_client_per_s": 0},
		"targets": map[string]any{
			"allow":          []map[string]any{{"cidr": "10.99.0.0/24"}, {"cidr": "fd99::/64"}},
			"ports":          []string{"1-65535"},
			"require_ticket": false,
		},
	}
}

// document is the JSON of s over the settings of a node alone on host.
func (s Settings) document(host *lab.Host) ([]byte, error) {
	all := onHost(host)
	maps.Copy(all, s)
	return json.Marshal(all)
}
