// Package kernel tests sessions that outlive their node: the real binary with forwarding
// "kernel" on hosts of lab networks, which lose their links, their processes and their
// time while people work.
//
//	clients -- outside switch -- nodes a, b, c -- inside switch -- VMs
//	             virtual_addr                       inside_addr
//
// or all of them on one switch, where virtual_addr is what VMs see, too.
//
// A session is a TCP connection from a client to a VM on which either talks, or both, or
// nobody. Every byte is known beforehand, so that both ends notice one that is missing or
// twice; each notes for how long it heard nothing. At the end each session is asked for an
// echo, and both ends compare how much there was.
//
// A quick selection runs with `make test`; the build tag e2e brings the full matrix and
// crowds of 1000. VDI_GATEWAY_FORWARDING=proxy shows what the other way of forwarding does
// under the same tests.
package kernel
