package peer

import (
	"testing"

	"pgregory.net/rapid"
)

// TestWindow: no count is new twice, and every count is new once unless it is
// 0 or fell too far behind.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		seen := map[uint64]bool{}
		newest := uint64(0)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			step := rapid.SampledFrom([]int64{-windowSize - 1, -windowSize, 1 - windowSize, -64, -1, 0, 1, 2, 63, 64, windowSize - 1, windowSize, 3 * windowSize}).Draw(t, "step")
			count := uint64(max(0, int64(newest)+step))
			want := count != 0 && !seen[count] && count+windowSize > newest
			if got := w.add(count); got != want {
				t.Fatalf("add(%d) after %d: got %v, want %v", count, newest, got, want)
			}
			seen[count] = seen[count] || want
			newest = max(newest, count)
		}
	})
}
