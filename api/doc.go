// Package api is the HTTP face of a node: version 3 of the gateway's API, the
// WebSocket carrier of tunnels, the browser console, the two probes and the Swagger UI.
//
// # Life
//
// New makes a Server from its Deps and starts nothing. Apply takes the complete
// wanted state: it binds new listeners before it closes old ones, keeps
// everything when one of them cannot be bound, and does nothing for an equal
// Config. It works before Run, too: the sockets are bound then, and connections
// wait in their backlog until Run serves them. Run owns all goroutines and, when
// its context is done, ends carriers and requests and returns. Requests in
// flight and WebSockets survive a move of the port.
//
// # A request's way
//
// Every request gets an id and a line in the log (debug; 500:
// error, other 5xx: warning). Operations
// of a role compare the key, then read the body (64 KiB of JSON at most, decoded
// strictly, every problem reported at once), then ask the gateway or the
// Settings. Whatever refuses is an error value; errors.go alone turns errors
// into statuses and codes.
//
// # The carrier
//
// GET /v3/connect with an upgrade carries a tunnel in binary frames. Origin,
// handshake and token are checked and the VM is dialled before the upgrade, so
// that refusals are ordinary HTTP answers. The token comes as a subprotocol, in
// the query, or in a cookie; none of them is ever logged.
//
// # The console
//
// The page of package console begins a session with its ticket and resumes it with
// a token of its own; both are answered with a cookie, which is what its WebSocket
// brings. Where pages may come from, origin.go decides, by the addresses of the
// gateway. A request is judged by the node it comes to; when that forwards it, the
// Origin stays behind.
//
// # In a cluster
//
// Connections from Trusted addresses may begin with a PROXY header; then the
// client is the one it names, everywhere. Requests about a connection that
// another node serves are sent on to that node as the client made them, a
// WebSocket with all that follows it, once at most (hopHeader); twice when the connection
// has passed to a third node meanwhile. Lists and ends
// take in all nodes through Cluster, and name those that did not answer.
// /internal/ is for the nodes themselves (package peer) and never reached through
// a proxy.
//
// # The Swagger file
//
// swagger/swagger.json is generated from the comments of the handlers by
// `go generate ./api` and embedded; tests keep it true.
package api
