package rules

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// What is too large for the kernel at once goes in parts, in order, up to what it
// refuses for another reason.
func TestCommitInParts(t *testing.T) {
	const n, atOnce = 11, 3
	odd := errors.New("odd")
	for _, tt := range []struct {
		name    string
		failing int
		size    int
		want    error
		done    []int
	}{
		{"all", n, atOnce, nil, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{"one fails", 7, atOnce, odd, []int{0, 1, 2, 3, 4}},
		{"none is small enough", n, 0, unix.EMSGSIZE, nil},
	} {
		parts := map[*nftables.Conn][]int{}
		var ops []operation
		for i := range n {
			ops = append(ops, operation{fmt.Sprint(i), func(c *nftables.Conn) error {
				parts[c] = append(parts[c], i)
				if i == tt.failing {
					return odd
				}
				if len(parts[c]) > tt.size {
					return unix.EMSGSIZE
				}
				return nil
			}})
		}
		if err := commitParts(flush, ops); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		var done []int // a part that was too large has one more than may be
		for _, part := range parts {
			if len(part) <= tt.size && !slices.Contains(part, tt.failing) {
				done = append(done, part...)
			}
		}
		slices.Sort(done)
		if !slices.Equal(done, tt.done) {
			t.Errorf("%s: got %v done, want %v", tt.name, done, tt.done)
		}
	}
}
