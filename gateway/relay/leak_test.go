package relay_test

import (
	"io"
	"os"
	"runtime"
	"testing"

	"vdi-gateway/gateway/relay"
)

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	return len(list)
}

// Streams that are cut while they are fast and stuck hold a pipe each.
func TestCutStreamsLeaveNoDescriptor(t *testing.T) {
	e := running(t)
	life := func(t *testing.T) {
		for i := range 9 {
			tun := open(t, e, relay.Options{})
			go func() { _, _ = io.Copy(tun.client, endless{}) }()
			stuck(tun)
			switch i % 3 {
			case 0:
				tun.pair.Kill("admin")
			case 1:
				resetBy(tun.vm)
			default:
				resetBy(tun.client)
				tun.vm.Close()
			}
			tun.result()
		}
	}
	const kept = 8 // descriptors of the empty pipes that loops keep for the next
	t.Run("first", life)
	before := descriptors(t)
	t.Run("second", life)
	eventually(t, "as many descriptors as before", func() bool {
		runtime.GC() // drops the pipes that the runtime keeps
		return descriptors(t) <= before+kept
	})
}
