package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this binary the program itself where it is started under the
// name vdi-gateway: the scripts and the tests with child processes do so.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vdi-gateway": main})
}
