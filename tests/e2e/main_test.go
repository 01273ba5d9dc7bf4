package e2e

import (
	"os"
	"testing"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// vmVariable tells where this binary is to be a VM.
const vmVariable = "VDI_GATEWAY_E2E_VM"

func TestMain(m *testing.M) {
	if addr := os.Getenv(vmVariable); addr != "" {
		os.Exit(beVM(addr))
	}
	os.Exit(lab.Main(func() int { return node.WithBinary(m.Run) }))
}
