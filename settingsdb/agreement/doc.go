// Package agreement has all nodes of a cluster change their settings together.
//
// # A change
//
// The node that is asked carries it out in three steps, each on all living nodes:
//
//	prepare  a lease for the change; the node checks what only it can
//	apply    the revision is stored and tried
//	finish   it is put in force, or undone
//
// Leases are taken in the order of addresses, so that of two changes at once one
// gets them all and the other is refused. A node that refuses or fails in the
// first two steps undoes the change everywhere. What decides is that the asked
// node has put the revision in force: it is the first to do so. A node that is
// left alone with a lease waits for its end and undoes what it tried; should the
// others have gone on, it catches up.
//
// # Catching up
//
// Nodes ask each other what is in force. Who finds that a peer has a later
// revision, and that the peer knows its own, takes the later one. When the peer
// does not know it, both halves of a divided cluster have changed: the higher
// number wins, then the later change, then the lower address of who has it. The
// winner is issued again, under a number higher than all, and the loser is noted
// as superseded.
//
// The machine reaches others by Peers and its own node by Node; all that decides
// takes the time from there.
package agreement
