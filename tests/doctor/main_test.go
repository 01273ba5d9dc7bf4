package doctor

import (
	"os"
	"testing"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Main(func() int { return node.WithBinary(m.Run) }))
}
