package kernel

// SetBuffer sets the bytes of events that the kernel keeps. Call it before Run.
func (k *Kernel) SetBuffer(bytes int) { k.buffer = bytes }
