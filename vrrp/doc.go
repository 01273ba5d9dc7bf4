// Package vrrp owns the virtual address: one node at a time, the Active one, has
// it, and when that node fails another one takes it within three advertisements.
// It speaks VRRP version 3 (RFC 9568) over IPv4 and IPv6, and version 2 (RFC 3768)
// beside routers that know no other.
//
//	v := vrrp.New(vrrp.Deps{Guard: []string{"/proc/self/exe", "guard"}, Log: log})
//	err := v.Apply(cfg)        // what it is to be; the empty Config is no router
//	go v.Run(ctx)              // returns when the address has been given up
//	v.SetReady(true, "")       // it competes only while the node can serve
//
// The package decides in one place and acts in another. machine.go is the protocol:
// functions of state, input and time, without clock, socket or goroutine. loop.go is
// the one goroutine that acts; hooks.go calls what may take its time from another one.
// What the host does lies in files that end in _linux.go: sockets (wire), announcements
// by ARP and neighbour discovery, interfaces (link, inside), addresses.
//
// An address must not outlive its owner, so this process never touches it. A guard,
// the same binary started once more (RunGuard), adds, renews and removes it, and does
// so only while it is told to, many times a second. A process that dies is missed at
// once, one that hangs within 150 ms; then the guard removes the address and
// resigns for it, so that another node takes over without waiting. The kernel drops
// the address by itself when nobody renews it for two seconds. Release removes what
// is left after all of that.
//
// Addresses of one Config move together: there is one election for all of them. Those
// in Inside have interfaces of their own, for a network behind this host; a node that
// has lost one of these interfaces does not compete.
//
// Two hooks let others take part in a move: Prepare runs before the addresses are put,
// Followed when another node is heard to be Active (see Deps).
package vrrp
