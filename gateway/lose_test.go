package gateway

import "testing"

// What was revoked at the node that took a grant over stays revoked when its former owner,
// which knows nothing of that, is back. A session that goes on there keeps its grant.
func TestWhatAnotherNodeRevokedStaysRevoked(t *testing.T) {
	f, vm := newFleet(t, 2), newEcho(t)
	unused, used := f.node(0).granted("127.0.0.5", vm.addr), f.node(0).granted("127.0.0.6", vm.addr)
	session := f.served(0, used)
	f.divide(0)
	heir := f.node(1)
	for _, g := range []Grant{unused, used} { // its client comes there
		f.served(1, g).Close()
	}
	ended, missing, err := heir.Disconnect(t.Context(), Selector{IDs: []ConnectionID{unused.ID, used.ID}}, "")
	if len(ended) != 2 || err != nil {
		t.Fatalf("got %d ended, %v missing and %v, want both ended", len(ended), missing, err)
	}
	f.told.Wait()
	f.divide(-1)
	eventually(t, "the former owner has given it up", func() bool { _, there := f.node(0).the(unused.ID); return !there })
	if c, err := f.at(0, unused); err == nil {
		c.Close()
		t.Error("got in by a grant that was revoked")
	}
	says(t, session, "still here")
	eventually(t, "the other node knows of the one in use again", func() bool { return f.node(1).Stats().Others == 1 })
	says(t, session, "and here")
	session.Close()
}
