package conntrack

import "golang.org/x/net/bpf"

// Filter chooses flows. The zero value chooses all.
type Filter struct {
	// Mark and Mask choose those whose mark, under the mask, is Mark; mask 0 all.
	Mark, Mask uint32
	// Family is 4 or 6; 0 both.
	Family uint8
}

// family is the number that the kernel knows a family by.
func (f Filter) family() uint8 {
	switch f.Family {
	case 4:
		return family4
	case 6:
		return family6
	}
	return 0
}

// fits tells whether the filter chooses a flow.
func (f Filter) fits(flow Flow) bool {
	return flow.Mark&f.Mask == f.Mark&f.Mask && (f.Family == 0 || family(flow) == f.family())
}

// program is the filter for a socket that hears events, so that the kernel wakes nobody
// for flows of others. A message has no attribute for mark 0.
func (f Filter) program() []bpf.Instruction {
	const (
		keep       = 1 << 20 // all of it
		familyByte = headerLen
	)
	var prog []bpf.Instruction
	if f.Family != 0 {
		prog = append(prog,
			bpf.LoadAbsolute{Off: familyByte, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(f.family()), SkipTrue: 1},
			bpf.RetConstant{Val: 0})
	}
	if f.Mask == 0 {
		return append(prog, bpf.RetConstant{Val: keep})
	}
	return append(prog,
		bpf.LoadConstant{Dst: bpf.RegX, Val: ctaMark},
		bpf.LoadConstant{Dst: bpf.RegA, Val: headerLen + genLen},
		bpf.LoadExtension{Num: bpf.ExtNetlinkAttr}, // A: where in the message, 0 is nowhere
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 2},
		bpf.TAX{},
		bpf.LoadIndirect{Off: attrLen, Size: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: f.Mask},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: f.Mark & f.Mask, SkipFalse: 1},
		bpf.RetConstant{Val: keep},
		bpf.RetConstant{Val: 0})
}
