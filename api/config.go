package api

import (
	"net/netip"
	"slices"
	"time"

	"vdi-gateway/settingsdb"
)

// Config is the complete wanted state of the API. The zero value listens
// nowhere and knows no key.
type Config struct {
	// Listen are the addresses to serve on. A wildcard is allowed; that of
	// IPv6 takes IPv4, too.
	Listen []netip.AddrPort
	// APIKey and ClientKey are the keys of the two roles. An empty key fits
	// nobody.
	APIKey, ClientKey settingsdb.Secret
	// Node is this node's internal address; invalid when it has none.
	Node netip.Addr
	// Trusted are the other nodes and proxies: a connection of theirs may begin
	// with a PROXY header, and then it is its client that counts. It holds for
	// connections accepted from now on.
	Trusted []netip.Prefix
	// PingInterval is the time between two pings of a WebSocket; 0: none.
	PingInterval time.Duration
	// Hosts and Ports are what users reach the API by: addresses or names, and
	// ports. Pages that come from there may open desktops.
	Hosts []string
	Ports []uint16
	// Origins are those of other pages that may.
	Origins []settingsdb.Origin
	// ConsoleURL is the console's page as users reach it; "": nobody is sent there.
	ConsoleURL string
	// Compression allows gzip where nothing secret is answered.
	Compression bool
}

// state is a Config in the form requests need it.
type state struct {
	Config
	keys    keyring
	origins origins
}

func newState(c Config) *state {
	c.Listen = slices.Clone(c.Listen)
	slices.SortFunc(c.Listen, netip.AddrPort.Compare)
	c.Listen = slices.Compact(c.Listen)
	c.Trusted = slices.Clone(c.Trusted)
	c.Hosts, c.Ports, c.Origins = slices.Clone(c.Hosts), slices.Clone(c.Ports), slices.Clone(c.Origins)
	return &state{Config: c, keys: newKeyring(c), origins: newOrigins(c)}
}

// equal tells whether two states want the same.
func (a *state) equal(b *state) bool {
	return slices.Equal(a.Listen, b.Listen) && a.APIKey == b.APIKey && a.ClientKey == b.ClientKey &&
		a.Node == b.Node && slices.Equal(a.Trusted, b.Trusted) && a.PingInterval == b.PingInterval && a.Compression == b.Compression &&
		slices.Equal(a.Hosts, b.Hosts) && slices.Equal(a.Ports, b.Ports) && slices.Equal(a.Origins, b.Origins) && a.ConsoleURL == b.ConsoleURL
}

// node is what this node is called in answers; "" when it has no address.
func (a *state) node() string {
	if !a.Node.IsValid() {
		return ""
	}
	return a.Node.String()
}
