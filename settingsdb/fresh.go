package settingsdb

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/netip"
)

// Default returns the document with nothing said: the keys are empty and there
// is no node, so that it is a base for others and not valid by itself.
func Default() Settings {
	s := Settings{
		IsEnabled: true, DispPort: 4200, APIPort: 8000, BalancerAPIPort: 8002,
		PortRangeStart: 5900, PortRangeStop: 5999,
		ServicePort: 443, ServiceBackendPort: 4300, StatsPort: 8003, PeersPort: 10000,
		VirtualPrefixLen: 32,
		VRRP:             VRRP{Version: 3, RouterID: 1, AdvertMS: 100, Mode: "multicast", Checksum: "pseudo_header"},
		Balance:          Balance{Algorithm: "leastconn", StickyTTLS: 28800, StickyMaskV4: 32, StickyMaskV6: 64},
		Limits:           Limits{MaxConnections: 10000, OpenPerClientPerS: 20},
		Timeouts:         Timeouts{GrantS: 30, DialMS: 3000, HalfCloseS: 30, KeepaliveS: 30, UserTimeoutMS: 45000},
		Targets:          defaultTargets(),
		Access:           Access{Policy: "allow"},
		TLS:              TLS{HonorCipherOrder: true},
		Compression:      true, Forwarding: "proxy",
		Console: Console{PingS: 25},
	}
	return s.filled()
}

func defaultTargets() Targets {
	return Targets{
		Allow: []Target{
			{CIDR: "10.0.0.0/8"}, {CIDR: "172.16.0.0/12"}, {CIDR: "192.168.0.0/16"}, {CIDR: "fc00::/7"},
		},
		Ports:         []string{"3389", "5900-32767", "8554", "17777-17782"},
		RequireTicket: true,
	}
}

// Fresh returns the valid document of a new node with the internal address own
// and three newly generated keys.
func Fresh(own netip.Addr) (Settings, error) {
	if !own.IsValid() {
		return Settings{}, fmt.Errorf("a fresh document needs the node's address")
	}
	s := Default()
	s.InternalAddrs = []string{own.String()}
	for _, key := range []*Secret{&s.APIKey, &s.CLIKey, &s.ClusterKey} {
		*key = NewKey()
	}
	return s, s.Validate().Err()
}

// NewKey returns 32 random bytes as 43 characters of base64url.
func NewKey() Secret {
	var key [32]byte
	// crypto/rand.Read never fails: it ends the program instead.
	_, _ = rand.Read(key[:])
	return Secret(base64.RawURLEncoding.EncodeToString(key[:]))
}
