// Package balancer brings what clients ask of the virtual address to a node.
//
// # Use
//
// New, Apply, Run; ask Ready before the virtual address may be taken. Every node
// listens on the virtual address all the time (IP_FREEBIND), so the one that
// gets the address serves from its first packet on.
//
// # A connection
//
// A front is one port of the virtual address and the port behind it on every
// node. For each client the balancer makes a short list of nodes (place.go), the
// relay behind Deps.Listen dials them in turn, with a PROXY protocol header in
// front of the client's bytes, and tells how it went. A node that cannot be
// reached is suspected by its front from then on: it comes last in the lists of
// others until a check, made at once, has found it well.
//
// # Which node
//
// The node that the client's network was with before, if the front is sticky;
// else the algorithm decides. Nodes that are dead, not ready or draining are not
// chosen; if all the others drain, draining ones are, since they can still say
// so to the client. When no node is well by the checks, those that the
// membership holds alive are tried all the same.
//
// # What a node's state is made of
//
// Every node asks every node for GET /readyz, twice a second. Two passes bring a
// node up, three failures take it down, the first result decides alone. A node
// that the membership holds dead is down at once (node.go).
//
// Everything that decides is a function of state, client and time; balancer.go,
// front.go and check.go act.
package balancer
