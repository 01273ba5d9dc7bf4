//go:build !race

package node

const buildFlags = "-race=false"
