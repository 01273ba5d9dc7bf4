package rfb

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
)

// TestEveryVersionMeetsEveryOther: the VM's version and type and the client's are agreed
// apart. The first bytes of either come with the last of its handshake, and arrive.
func TestEveryVersionMeetsEveryOther(t *testing.T) {
	for _, vm := range vmScripts {
		for _, viewer := range viewerScripts {
			for _, step := range []int{1, 1000} {
				t.Run(fmt.Sprintf("VM %s, client %s, by %d", vm.name, viewer.name, step), func(t *testing.T) {
					vmSays := slices.Concat(vm.say, script{"<" + initFlag, ">and", "<more", "."})
					viewerSays := slices.Concat(viewer.say, script{">" + initFlag, "<" + initText + "and", ">more"})
					ctx := context.Background()
					inner, _, err := Connect(ctx, act(t, stage{step: step}, vmSays), Config{Password: "secret12"})
					if err != nil {
						t.Fatal(err)
					}
					outer, report, err := Accept(ctx, act(t, stage{step: step, hangUp: true}, viewerSays), Terms{Type: viewer.typ, Password: "secret12"})
					if err != nil {
						t.Fatal(err)
					}
					if report.Version != viewer.version {
						t.Errorf("got version %s with the client, want %s", report.Version, viewer.version)
					}
					relay(outer, inner)
				})
			}
		}
	}
}

// TestNothingIsReadAhead: the connection is used as it is afterwards, below any buffer.
func TestNothingIsReadAhead(t *testing.T) {
	for _, tc := range vmScripts {
		near, far := sockets(t)
		done := make(chan error, 1)
		go func() {
			_, err := stage{step: 1000}.perform(far, tc.say)
			_ = far.Close()
			done <- err
		}()
		if _, _, err := Connect(context.Background(), near, Config{Password: "secret12"}); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if got, err := io.ReadAll(near); string(got) != initText || err != nil {
			t.Errorf("%s: the socket has %q, %v, want %q", tc.name, got, err, initText)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: the other side: %v", tc.name, err)
		}
	}
}

// relay moves bytes both ways until one side ends, and closes both.
func relay(client, vm net.Conn) {
	var both sync.WaitGroup
	end := func() { _, _ = client.Close(), vm.Close() }
	both.Go(func() { defer end(); _, _ = io.Copy(vm, client) })
	both.Go(func() { defer end(); _, _ = io.Copy(client, vm) })
	both.Wait()
}
