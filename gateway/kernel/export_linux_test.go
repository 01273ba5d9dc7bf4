package kernel

import (
	"net/netip"
	"time"
)

// RecordOf is the record of a flow with these ends.
func RecordOf(client, virtual, inside, vm netip.AddrPort) Record {
	return shared{client, virtual, inside, vm, time.Now()}.record()
}

// SetBuffer sets the bytes of events that the kernel keeps. Call it before Run.
func (k *Kernel) SetBuffer(bytes int) { k.buffer = bytes }
