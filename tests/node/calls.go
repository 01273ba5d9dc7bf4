package node

import (
	"context"
	"net/http"
	"net/netip"
)

// OpenRequest asks for a tunnel; see open_connection.
type OpenRequest struct {
	VMAddress string `json:"vm_address,omitempty"`
	VMPort    int    `json:"vm_port,omitempty"`
	Protocol  string `json:"protocol,omitempty"`
	User      string `json:"user,omitempty"`
	TTLS      int    `json:"ttl_s,omitempty"`
	Channels  int    `json:"channels,omitempty"`
	Mode      string `json:"mode,omitempty"`
	Ticket    string `json:"ticket,omitempty"`
	Probe     bool   `json:"probe"`
	// VMPassword has the gateway enter the VM itself.
	VMPassword string `json:"vm_password,omitempty"`
}

// Tunnel is what open_connection answers.
type Tunnel struct {
	ID         string `json:"connection_id"`
	Token      string `json:"token"`
	Address    string `json:"address"`
	Port       uint16 `json:"port"`
	ClientAddr string `json:"client_addr"`
	Node       string `json:"node"`     // the owner
	Password   string `json:"password"` // of one use, where the gateway enters the VM
}

// Addr is where the client connects to; the address has to be an IP address.
func (t Tunnel) Addr() netip.AddrPort {
	a, _ := netip.ParseAddr(t.Address) // invalid: the dial says so
	return netip.AddrPortFrom(a, t.Port)
}

// Open reserves a tunnel.
func (c *Client) Open(ctx context.Context, r OpenRequest) (t Tunnel, err error) {
	return t, c.Call(ctx, http.MethodPost, "/v3/open_connection/", r, &t)
}

// Ticket has a dispatcher make a ticket; the keys are those of POST /v3/tickets/.
func (c *Client) Ticket(ctx context.Context, r map[string]any) (string, error) {
	var answer struct{ Ticket string }
	err := c.Call(ctx, http.MethodPost, "/v3/tickets/", r, &answer)
	return answer.Ticket, err
}

// GiveBack gives a tunnel back.
func (c *Client) GiveBack(ctx context.Context, t Tunnel) error {
	return c.Call(ctx, http.MethodPost, "/v3/close_connection/",
		map[string]string{"connection_id": t.ID, "token": t.Token}, nil)
}

// Connection is an entry of get_connections.
type Connection struct {
	ID         string `json:"connection_id"`
	Node       string `json:"node"`
	State      string `json:"state"`
	ClientAddr string `json:"client_addr"`
	Port       uint16 `json:"port"`
	Channels   int    `json:"channels"`
	BytesUp    int64  `json:"bytes_up"`
	BytesDown  int64  `json:"bytes_down"`
}

// Connections lists what the node holds.
func (c *Client) Connections(ctx context.Context) ([]Connection, error) {
	var list struct{ Connections []Connection }
	err := c.Call(ctx, http.MethodGet, "/v3/get_connections/", nil, &list)
	return list.Connections, err
}

// Settings reads the settings document.
func (c *Client) Settings(ctx context.Context) (Settings, error) {
	var s Settings
	return s, c.Call(ctx, http.MethodGet, "/v3/get_settings/", nil, &s)
}

// Change lays keys over the settings and returns the revision in force.
func (c *Client) Change(ctx context.Context, s Settings) (revision int, err error) {
	var answer struct{ Revision int }
	err = c.Call(ctx, http.MethodPost, "/v3/change_settings/", s, &answer)
	return answer.Revision, err
}
