package vrrp

import (
	"testing"

	"vdi-gateway/tests/lab"
)

func TestBesideKeepalived(t *testing.T) {
	t.Parallel()
	lab.Need(t, "keepalived", "nft")
	t.Log(version(t, "keepalived"))
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			steady(t, func(t testing.TB) { newContest(t, c).run() })
		})
	}
}

// families are the virtual addresses of tests that do not depend on the family: one, or
// both in the full matrix.
func families() []string {
	if full {
		return []string{four, six}
	}
	return []string{four}
}

const four, six = "10.99.0.100", "fd99::100"

// combinations is the whole matrix, or one in which each value occurs beside others.
func combinations() (list []combination) {
	if !full {
		return []combination{
			{2, four, false, false, true, 200, true, false},
			{3, four, false, false, false, 200, true, false},
			{3, four, false, false, true, 150, false, true},
			{3, four, false, true, true, 100, true, true},
			{3, six, false, false, true, 100, true, false},
			{3, six, true, false, false, 150, true, false},
			{3, six, true, true, false, 200, false, true},
		}
	}
	for _, family := range []combination{{version: 2, virtual: four}, {version: 3, virtual: four}, {version: 3, virtual: six, inside6: true}} {
		for _, unicast := range []bool{false, true} {
			list = append(list, family.ways(unicast)...)
		}
	}
	// Over multicast the addresses inside may be of the other family.
	return append(list, combination{version: 3, virtual: six}.ways(false)...)
}

// ways are all that can be in one network.
func (c combination) ways(unicast bool) (list []combination) {
	c.unicast = unicast
	for _, first := range []bool{true, false} {
		for _, priority := range []int{200, 100, keepalivedPriority} {
			for _, preempt := range []bool{true, false} {
				c.first, c.priority, c.preempt = first, priority, preempt
				c.higher = first != preempt // each once for each priority
				list = append(list, c)
			}
		}
	}
	return list
}
