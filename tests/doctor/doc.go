// Package doctor has vdi-gateway doctor look at small networks in which something is
// really wrong: an address that another machine has, a router id that a Keepalived uses,
// a port that is taken, a node with other settings. It needs what tests/lab needs.
package doctor
