package rfb

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
)

func TestPassInit(t *testing.T) {
	for _, tc := range []struct {
		shared     Shared
		asked, got string
	}{
		{AsAsked, "\x00", "\x00"},
		{AsAsked, "\x01", "\x01"},
		{AsAsked, "\x07", "\x07"},
		{AlwaysShared, "\x00", "\x01"},
		{AlwaysShared, "\x01", "\x01"},
		{AlwaysAlone, "\x00", "\x00"},
		{AlwaysAlone, "\x01", "\x00"},
	} {
		client := act(t, stage{step: 1000}, script{">" + tc.asked, ">more"})
		vm := act(t, stage{step: 1000}, script{"<" + tc.got})
		if err := PassInit(context.Background(), client, vm, tc.shared, 0); err != nil {
			t.Fatal(err)
		}
		if err := expect(client, "more"); err != nil {
			t.Errorf("after ClientInit: %v", err)
		}
	}
	vm, _ := net.Pipe()
	err := PassInit(context.Background(), briefly(t, 1, nil), vm, AsAsked, 0)
	wantError(t, err, Client, Closed, "ClientInit")
	if _, err := vm.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("reading from the VM: %v, want it closed", err)
	}
	client := briefly(t, 1, script{">\x01"})
	err = PassInit(context.Background(), client, briefly(t, 1, nil), AsAsked, 0)
	wantError(t, err, VM, Closed, "ClientInit")
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("reading from the client: %v, want it closed", err)
	}
}
