package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"vdi-gateway/api/certificate"
	"vdi-gateway/settingsdb"
)

// serverFlag says which node to ask. What is not given is read from the
// database, so that it works without arguments on the node itself.
type serverFlag struct {
	databaseFlag
	trustFlag
	Server string `placeholder:"URL" env:"VDI_GATEWAY_SERVER" help:"Address of the node's API, such as http://10.0.0.1:8000; without a scheme the node is asked which (default: the node of the database; or $$${env})."`
	APIKey string `name:"api-key" placeholder:"KEY" env:"VDI_GATEWAY_API_KEY" help:"The dispatcher's key (default: that of the database; or $$${env})."`
}

// client talks to the API of a node.
type client struct {
	base string // without a slash at the end
	key  string
	http http.Client
}

// callTime bounds one call of the API.
const callTime = 15 * time.Second

// answerMax bounds one answer: 10000 connections have some 5 MB.
const answerMax = 64 << 20

// connect finds out whom to talk to.
func (f serverFlag) connect(ctx context.Context) (*client, error) {
	base := strings.TrimSuffix(f.Server, "/")
	if base != "" && !strings.Contains(base, "://") {
		base = scheme(ctx, base) + "://" + base
	}
	secure, err := f.config()
	if err != nil {
		return nil, err
	}
	if base != "" && f.APIKey != "" {
		return newClient(base, f.APIKey, secure), nil
	}
	s, err := readSettings(ctx, f.DB)
	if err != nil {
		return nil, fmt.Errorf("%w; name the node with --server and --api-key, or its database with --db", err)
	}
	c := nodeClient(s, apiAddr(s, netip.Addr{}))
	if base != "" {
		if f.trustFlag == (trustFlag{}) && isNode(s, base) {
			secure = certificate.Member(s.ClusterKey.Reveal())
		}
		c = newClient(base, c.key, secure)
	}
	c.key = cmp.Or(f.APIKey, c.key)
	return c, nil
}

// scheme is what the API at an address speaks, which sends to https who comes without.
// The key would be on its way in the clear by then, so none is shown here.
func scheme(ctx context.Context, at string) string {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/livez", http.NoBody)
	if err != nil {
		return "http" // whoever uses it is told what is wrong
	}
	resp, err := c.Do(req)
	if err != nil {
		return "http" // likewise
	}
	_ = resp.Body.Close() // nothing is read of it
	if to, err := resp.Location(); err == nil && to.Scheme == "https" {
		return to.Scheme
	}
	return "http"
}

// isNode tells whether a URL is that of a node of the document.
func isNode(s settingsdb.Settings, base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	host, err := netip.ParseAddr(u.Hostname())
	return err == nil && slices.Contains(nodesOf(s), host.Unmap())
}

// apiAddr is where the node of the document serves its API, seen from its host:
// wanted, or the one whose address is local.
func apiAddr(s settingsdb.Settings, wanted netip.Addr) netip.Addr {
	host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if local, err := localAddrs(); err == nil {
		if own, err := ownNode(s, wanted, local); err == nil {
			host = own
		}
	}
	if addrs := apiAddrs(s, host); len(addrs) > 0 && !addrs[0].IsUnspecified() {
		host = addrs[0]
	}
	return host
}

// apiError is an answer that is not a success.
type apiError struct {
	Status int
	Errors []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Field   string `json:"field"`
	} `json:"errors"`
	RequestID string `json:"request_id"`
}

// Error lists what the node found wrong.
func (e *apiError) Error() string {
	if len(e.Errors) == 0 {
		return fmt.Sprintf("the node answered with status %d", e.Status)
	}
	lines := make([]string, 0, len(e.Errors))
	for _, p := range e.Errors {
		line := p.Code + ": "
		if p.Field != "" {
			line += p.Field + ": "
		}
		lines = append(lines, line+p.Message)
	}
	return strings.Join(lines, "\n")
}

// call sends body, if there is one, as JSON and decodes the answer into out.
// An answer of another status than 2xx is an *apiError; out is filled all the
// same when it has the shape.
func (c *client) call(ctx context.Context, method, path string, body, out any) error {
	_, err := c.callFor(ctx, method, path, body, out, nil)
	return err
}

// callFor is call with more headers; it returns those of the answer.
func (c *client) callFor(ctx context.Context, method, path string, body, out any, more http.Header) (http.Header, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return nil, fmt.Errorf("--server must be a URL such as http://10.0.0.1:8000: %w", err)
	}
	maps.Copy(req.Header, more)
	req.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	var there unwelcome
	switch {
	case untrusted(err):
		return nil, fmt.Errorf("the node is not believed to be the right one; see its certificate there with vdi-gateway cert show, and say --ca or --fingerprint: %w", err)
	case errors.As(err, &there):
		return nil, fmt.Errorf("%s: %w", c.base, there)
	case err != nil:
		return nil, fmt.Errorf("is the node running? %w", err)
	}
	defer resp.Body.Close()
	return resp.Header, understood(resp, out)
}

// understood decodes an answer into out.
func understood(resp *http.Response, out any) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return err
	}
	var failed *apiError
	if resp.StatusCode/100 != 2 {
		failed = &apiError{Status: resp.StatusCode}
		_ = json.Unmarshal(text, failed) // the status alone says enough
	}
	if err := json.Unmarshal(text, out); err != nil && failed == nil {
		return fmt.Errorf("the node's answer is not understood: %w", err)
	}
	if failed != nil {
		return failed
	}
	return nil
}

// isStatus tells whether err is an answer of that status.
func isStatus(err error, status int) bool {
	var failed *apiError
	return errors.As(err, &failed) && failed.Status == status
}
