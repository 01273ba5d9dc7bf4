// Package peer runs relays to be measured: the product's service tunnel and
// what it is compared with, each listening on a host of a lab network and
// passing every connection on to one target.
//
//	r, err := peer.HAProxy.Start(host, target, dir)
//	cpu, err := r.CPU()
//
// A Router keeps a virtual address by VRRP: the product again, or Keepalived, also as
// the original has it, with its HAProxy beside.
//
// The configurations are the shortest that work; what is left out has the
// peer's own default. A relay ends with its network, or by Stop.
package peer
