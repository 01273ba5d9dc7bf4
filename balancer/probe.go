package balancer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
)

// probe asks a node whether it is ready, over a connection of its own, so that a
// node which no longer accepts is found out.
func probe(ctx context.Context, api netip.AddrPort, secure *tls.Config) error {
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: secure}
	scheme := "http://"
	if secure != nil {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+api.String()+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req) // no redirects, no proxy of the environment
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /readyz: %s", resp.Status)
	}
	return nil
}
