package settingsdb

// Settings is the settings document. Addresses are kept as text the way they
// were written; "" stands for what every node computes by itself. The order of
// the fields is the order of the keys in JSON: first the 13 keys of the
// original, then ours. Treat a value as read-only: slices and the map are
// shared between copies.
type Settings struct {
	IsEnabled       bool     `json:"is_enabled"`
	InternalAddrs   []string `json:"internal_addrs"`
	SSL             bool     `json:"ssl"`
	DispAddrs       []string `json:"disp_addrs"`
	DispPort        int      `json:"disp_port"`
	PublicAddr      string   `json:"public_addr"`
	VirtualAddr     string   `json:"virtual_addr"`
	APIPort         int      `json:"api_port"`
	BalancerAPIPort int      `json:"balancer_api_port"`
	PortRangeStart  int      `json:"port_range_start"`
	PortRangeStop   int      `json:"port_range_stop"`
	APIKey          Secret   `json:"api_key"`
	CLIKey          Secret   `json:"cli_key"`

	ServicePort        int                     `json:"service_port"`
	ServiceBackendPort int                     `json:"service_backend_port"`
	StatsPort          int                     `json:"stats_port"`
	PeersPort          int                     `json:"peers_port"`
	Interface          string                  `json:"interface"`
	VirtualPrefixLen   int                     `json:"virtual_prefix_len"`
	Nodes              map[string]NodeSettings `json:"nodes"`
	VRRP               VRRP                    `json:"vrrp"`
	Balance            Balance                 `json:"balance"`
	Limits             Limits                  `json:"limits"`
	Timeouts           Timeouts                `json:"timeouts"`
	Targets            Targets                 `json:"targets"`
	Access             Access                  `json:"access"`
	TrustedProxies     []string                `json:"trusted_proxies"`
	ListenIP           string                  `json:"listen_ip"`
	TLS                TLS                     `json:"tls"`
	Compression        bool                    `json:"compression"`
	Forwarding         string                  `json:"forwarding"`
	InsideAddr         string                  `json:"inside_addr"`
	ClusterKey         Secret                  `json:"cluster_key"`
	Console            Console                 `json:"console"`
}

// originalKeys is how many keys, counted from the first, the original has.
const originalKeys = 13

// NodeSettings is what differs on one machine. Zero values mean "as everywhere":
// the common interface and listen_ip, and a priority computed from the node's
// index.
type NodeSettings struct {
	Interface string `json:"interface"`
	ListenIP  string `json:"listen_ip"`
	Priority  int    `json:"priority"`
}

// VRRP configures the protocol of the virtual address (RFC 9568).
type VRRP struct {
	Version       int    `json:"version"`
	RouterID      int    `json:"router_id"`
	AdvertMS      int    `json:"advert_ms"`
	Preempt       bool   `json:"preempt"`
	PreemptDelayS int    `json:"preempt_delay_s"`
	Mode          string `json:"mode"`
	Checksum      string `json:"checksum"`
}

// Balance configures how clients are placed on nodes.
type Balance struct {
	Algorithm    string `json:"algorithm"`
	StickyTTLS   int    `json:"sticky_ttl_s"`
	StickyMaskV4 int    `json:"sticky_mask_v4"`
	StickyMaskV6 int    `json:"sticky_mask_v6"`
}

// Limits bounds what clients may take; 0 means no limit.
type Limits struct {
	MaxConnections    int `json:"max_connections"`
	MaxPerClient      int `json:"max_per_client"`
	OpenPerClientPerS int `json:"open_per_client_per_s"`
}

// Timeouts of grants and sessions, in seconds or milliseconds as the name ends;
// 0 means never.
type Timeouts struct {
	GrantS        int `json:"grant_s"`
	DialMS        int `json:"dial_ms"`
	IdleS         int `json:"idle_s"`
	HalfCloseS    int `json:"half_close_s"`
	KeepaliveS    int `json:"keepalive_s"`
	UserTimeoutMS int `json:"user_timeout_ms"`
	SessionMaxS   int `json:"session_max_s"`
}

// Targets says what a tunnel may reach. Ports holds entries of the form "N" or
// "A-B", see [ParsePorts].
type Targets struct {
	Allow         []Target `json:"allow"`
	Ports         []string `json:"ports"`
	RequireTicket bool     `json:"require_ticket"`
}

// Target is one allowed network; without ports of its own those of [Targets]
// hold.
type Target struct {
	CIDR  string   `json:"cidr"`
	Ports []string `json:"ports,omitempty"`
}

// Access is the access list of the client-facing ports.
type Access struct {
	AllowFrom string `json:"allow_from"`
	DenyFrom  string `json:"deny_from"`
	Policy    string `json:"policy"`
}

// TLS configures TLS, the names being those of pveproxy.
type TLS struct {
	CertFile         string `json:"cert_file"`
	KeyFile          string `json:"key_file"`
	Ciphers          string `json:"ciphers"`
	CipherSuites     string `json:"ciphersuites"`
	HonorCipherOrder bool   `json:"honor_cipher_order"`
	DisableTLS12     bool   `json:"disable_tls_1_2"`
	DisableTLS13     bool   `json:"disable_tls_1_3"`
	DHParams         string `json:"dhparams"`
	ACME             *ACME  `json:"acme,omitempty"`
}

// Console configures the browser console. PingS is in seconds, 0 means no
// pings.
type Console struct {
	AllowedOrigins []string `json:"allowed_origins"`
	PingS          int      `json:"ping_s"`
}
