package peer

import (
	"testing"
)

// BenchmarkCall is calls of 300 bytes between two nodes in one process.
func BenchmarkCall(b *testing.B) {
	from, _ := pair(b, "key")
	body := make([]byte, 300)
	b.SetParallelism(4)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := from.Call(b.Context(), nodeB, "echo", body); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
