package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"vdi-gateway/tests/lab"
)

// callTime bounds one call.
const callTime = 20 * time.Second

// answerMax bounds one answer.
const answerMax = 64 << 20

// Client calls the API with one of the keys. Its exported methods may be used
// by several goroutines.
type Client struct {
	base string
	key  string
	http *http.Client
}

// Client is a holder of cli_key on a host, which calls from one of its
// addresses; without one the system chooses.
func (n *Node) Client(host *lab.Host, from ...netip.Addr) *Client {
	return newClient(n.URL(), clientKey, host, from...)
}

// ClientAt is a holder of cli_key who calls another address than the node's, such
// as the virtual one.
func ClientAt(api netip.AddrPort, host *lab.Host, from ...netip.Addr) *Client {
	return newClient(origin(api), clientKey, host, from...)
}

// DispatcherAt is a holder of api_key who calls any address.
func DispatcherAt(api netip.AddrPort, host *lab.Host) *Client {
	return newClient(origin(api), apiKey, host)
}

// origin escapes the zone that an address may have.
func origin(api netip.AddrPort) string {
	return (&url.URL{Scheme: "http", Host: api.String()}).String()
}

// Dispatcher is the holder of api_key, on the node's own host.
func (n *Node) Dispatcher() *Client { return newClient(n.URL(), apiKey, n.Host) }

func newClient(base, key string, host *lab.Host, from ...netip.Addr) *Client {
	dial := host.DialContext
	if len(from) > 0 {
		dial = func(_ context.Context, _, address string) (net.Conn, error) {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return nil, err
			}
			return host.Dial(from[0], to, callTime)
		}
	}
	return &Client{base: base, key: key, http: &http.Client{
		Timeout:   callTime,
		Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 64},
	}}
}

// Secure is the same client by TLS. Whom it believes, trust says.
func (c *Client) Secure(trust *tls.Config) *Client {
	transport := c.http.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig = trust
	return &Client{
		base: "https://" + strings.TrimPrefix(c.base, "http://"), key: c.key,
		http: &http.Client{Timeout: callTime, Transport: transport},
	}
}

// Close gives the client's idle connections up.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Refusal is an answer that is not a success.
type Refusal struct {
	Status int
	Errors []struct{ Code, Message, Field string }
}

// Error lists what the answer lists.
func (r *Refusal) Error() string { return fmt.Sprintf("status %d: %+v", r.Status, r.Errors) }

// Code is the first error's code, "" for an error that is no Refusal.
func Code(err error) string {
	var r *Refusal
	if !errors.As(err, &r) || len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].Code
}

// Call sends body as JSON, if it is not nil, and decodes the answer into out.
// An answer outside 2xx is a *Refusal.
func (c *Client) Call(ctx context.Context, method, path string, body, out any) error {
	var payload io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return err
	}
	return decode(resp.StatusCode, text, out)
}

func decode(status int, text []byte, out any) error {
	if status/100 != 2 {
		r := &Refusal{}
		if err := json.Unmarshal(text, r); err != nil {
			return fmt.Errorf("status %d: %s", status, text)
		}
		r.Status = status
		return r
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
