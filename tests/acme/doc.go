// Package acme tests certificates that an authority issues: real nodes, alone and as a
// cluster, and Pebble, the ACME server that Let's Encrypt makes for tests, on hosts of a
// lab network. Pebble asks for challenges by HTTP-01 as the real one does, at the address
// that its name server tells; it loses its accounts and keys when it ends.
package acme
