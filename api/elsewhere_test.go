package api

import (
	"strings"
	"testing"
)

// Every node takes requests for every node.
func TestRequestsForANode(t *testing.T) {
	c := newCluster(t)
	grant := c.openOn(c.b, vm(t), `"mode":"websocket"`)
	count := func(n *node, path string) int {
		t.Helper()
		var list struct {
			Connections []struct {
				ID string `json:"connection_id"`
			}
		}
		n.api("GET", path, "").into(200, &list)
		return len(list.Connections)
	}
	const own, other = "/v3/nodes/127.0.0.1/", "/v3/nodes/127.0.0.2/"
	if a, b := count(c.a, own+"get_connections/?scope=node"), count(c.a, other+"get_connections/?scope=node"); a != 0 || b != 1 {
		t.Errorf("got %d connections of this node and %d of the other, want 0 and 1", a, b)
	}
	if got := count(c.b, own+"get_connections"+"?scope=node"); got != 0 {
		t.Errorf("the other way round: got %d connections, want 0", got)
	}
	var ended struct{ Count int }
	c.a.api("POST", other+"disconnect/", `{"connection_id":"`+grant.ConnectionID+`","scope":"node"}`).into(200, &ended)
	if ended.Count != 1 {
		t.Errorf("got %d connections ended at the other node, want 1", ended.Count)
	}
}

func TestRequestsForANodeAreRefused(t *testing.T) {
	c := newCluster(t)
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/v3/nodes/127.0.0.9/health/":                  {404, "NOT_FOUND"},
		"/v3/nodes/host/health/":                       {404, "NOT_FOUND"},
		"/v3/nodes//health/":                           {400, "BAD_REQUEST"},
		"/v3/nodes/127.0.0.2/nothing/":                 {404, "NOT_FOUND"},
		"/v3/nodes/127.0.0.1/nothing/":                 {404, "NOT_FOUND"},
		"/v3/nodes/127.0.0.2/nodes/127.0.0.1/health/":  {508, "LOOP"},
		"/v3/nodes/127.0.0.2/../../internal/directory": {404, "NOT_FOUND"},
	} {
		c.a.api("GET", path, "").is(want.status, want.code)
	}
	c.a.api("POST", "/v3/nodes/127.0.0.2/drain/", `{"on":"`+strings.Repeat("x", maxBody)+`"}`).is(413, "TOO_LARGE")
	c.a.call("GET", "/v3/nodes/127.0.0.2/health/", "").is(401, "UNAUTHORIZED") // the other node asks for the key
	c.a.cli("GET", "/v3/nodes/127.0.0.2/health/", "").is(403, "FORBIDDEN")
	c.b.stop()
	c.a.api("GET", "/v3/nodes/127.0.0.2/health/", "").is(503, "OVERLOADED")
	newNode(t, nil).api("GET", "/v3/nodes/127.0.0.2/health/", "").is(404, "NOT_FOUND") // a node alone
}

func TestWebSocketAtANamedNode(t *testing.T) {
	c := newCluster(t)
	grant := c.openOn(c.b, vm(t), `"mode":"websocket"`)
	c.mu.Lock()
	clear(c.owners) // nobody says where it is
	c.mu.Unlock()
	ws := c.a.attach("/v3/nodes/127.0.0.2/connect/?token="+grant.Token, []string{"binary"})
	if ws.Subprotocol() != "binary" {
		t.Errorf("got subprotocol %q, want binary", ws.Subprotocol())
	}
}
