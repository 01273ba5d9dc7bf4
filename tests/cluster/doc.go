// Package cluster tests several nodes as one gateway: real processes on hosts of
// a lab network, whose virtual address the tests put on one of them.
package cluster
