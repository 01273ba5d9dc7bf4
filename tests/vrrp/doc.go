// Package vrrp tests who has the virtual address: real processes of the product and
// real Keepalived on hosts of a lab network, which lose their links, their processes
// and their time.
//
// What counts is not what the processes say but what the kernels of the hosts have:
// lab.Owners hears every change of an address, so that a moment with two owners, or
// with none, is found however short it is. Times are allowed as long as RFC 9568 says
// that they may take, and 100 ms more. A machine that is too busy to let processes run
// proves nothing: what fails there is made once more (steady).
//
// Addresses on a second interface, and what is prepared before a take-over, are tested
// with processes that are routers of the package alone: this binary, started once more
// (router).
//
// A quick selection runs with `make test`; the build tag e2e brings the full matrix
// against Keepalived, longer disturbances and more of them.
package vrrp
