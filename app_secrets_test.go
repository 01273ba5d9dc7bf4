package main

import (
	"bytes"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Keys, tokens and tickets are in no log, whatever happens to them.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	own := loopback(t.Name())
	n := launch(t, newDatabase(t, testSettings(t, own, nil)), own, "--log-level", "debug")
	n.waitReady(t)
	vm := startVM(t)
	next := []string{"next-key-of-the-dispatcher-1", "next-key-of-the-clients-2", "next-key-of-the-cluster-34567"}
	secrets := append([]string{testAPIKey, testCLIKey, testClusterKey, "a-wrong-key-of-somebody", "the-vm-password"}, next...)
	client := func(status int, path string, body keys) reply {
		return n.call(t, status, call{path: path, body: body, key: testCLIKey})
	}

	ticketBody := keys{"vm_address": "127.0.0.1", "vm_port": vm.Port, "user": "alice"}
	ticket := into[struct{ Ticket string }](t, n.call(t, 201, call{path: "/v3/tickets/", body: ticketBody})).Ticket
	tun := into[tunnel](t, client(201, "/v3/open_connection/", keys{"ticket": ticket}))
	secrets = append(secrets, ticket, tun.Token)
	tun.dial(t, netip.Addr{}).mustLive(t)

	// Spent, doubled, misspelt and misplaced.
	client(409, "/v3/open_connection/", keys{"ticket": ticket})
	client(200, "/v3/connect/", keys{"connection_id": tun.ID, "token": tun.Token})
	client(422, "/v3/connect/", keys{"connection_id": tun.ID, "tokken": tun.Token})
	entered := into[tunnel](t, client(201, "/v3/open_connection/", keys{"vm_address": "127.0.0.1", "vm_port": vm.Port, "vm_password": "the-vm-password"}))
	client(422, "/v3/open_connection/", keys{"vm_address": "127.0.0.1", "vm_port": vm.Port, "vm_password": "the-vm-password", "protocol": "rdp"})
	ticketBody["vm_password"], ticketBody["vm_user"] = "the-vm-password", "the-user-of-the-vm"
	desktop := into[struct{ Ticket string }](t, n.call(t, 201, call{path: "/v3/tickets/", body: ticketBody})).Ticket
	secrets = append(secrets, desktop, entered.Token, entered.Password)
	n.call(t, 400, call{path: "/v3/tickets/", body: []byte(`{"vm_address":"` + ticket + `"`)})
	n.call(t, 401, call{path: "/v3/health/", key: "a-wrong-key-of-somebody"})
	n.call(t, 403, call{path: "/v3/health/", key: testCLIKey})
	n.call(t, 404, call{path: "/v3/nothing?token=" + tun.Token})
	n.attach(t, tun.Token)
	again := into[tunnel](t, client(201, "/v3/open_connection/", keys{"vm_address": "127.0.0.1", "vm_port": vm.Port, "mode": "websocket"}))
	secrets = append(secrets, again.Token)
	client(200, "/v3/close_connection/", keys{"connection_id": again.ID, "token": again.Token})

	// Settings with keys: read, refused and changed.
	n.settings(t)
	n.call(t, 422, call{path: "/v3/change_settings/", body: keys{"api_key": testCLIKey, "cluster_key": "short-secret"}})
	n.call(t, 422, call{path: "/v3/change_settings/", body: keys{"api_key": []string{next[0]}}})
	n.change(t, "", keys{"api_key": next[0], "cli_key": next[1], "cluster_key": next[2]})
	n.call(t, 401, call{path: "/v3/health/"})
	n.stop(t)

	log := n.log.String()
	for _, s := range append(secrets, "short-secret") {
		if strings.Contains(log, s) {
			t.Errorf("the log holds the secret %q", s)
		}
	}
	for _, want := range []string{"session opened", "session closed", "settings changed", tun.ID} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q: the test looked at the wrong place", want)
		}
	}
	if found := n.inDatabase(t, ticket, tun.Token, again.Token, "the-vm-password", "the-user-of-the-vm"); len(found) > 0 {
		t.Errorf("the database holds tickets or tokens in the clear: %q", found)
	}
}

// attach asks for the WebSocket carrier with a token in the address.
func (n *child) attach(tb testing.TB, token string) {
	tb.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+netip.AddrPortFrom(n.addr, testAPIPort).String()+"/v3/connect/?token="+token, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		req.Header.Set(name, value)
	}
	c, err := net.Dial("tcp", req.URL.Host)
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	if err := req.Write(c); err != nil {
		tb.Fatal(err)
	}
	answer := make([]byte, 12)
	if _, err := c.Read(answer); err != nil || !slices.Contains([]string{"HTTP/1.1 101", "HTTP/1.1 409"}, string(answer)) {
		tb.Errorf("got %q and %v, want the carrier or that the token is spent", answer, err)
	}
}

// inDatabase tells which texts stand in the database's files.
func (n *child) inDatabase(tb testing.TB, texts ...string) []string {
	tb.Helper()
	files, err := filepath.Glob(n.db + "*")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no database: %v", err)
	}
	var found []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for _, text := range texts {
			if bytes.Contains(content, []byte(text)) {
				found = append(found, text)
			}
		}
	}
	return found
}
