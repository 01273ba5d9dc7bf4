// Package rules owns one table of nftables, `inet vdi-gateway`: who may reach which
// VM, or a socket of this host, through the virtual address, and nothing else. The
// kernel moves the bytes; this package only says what it shall do.
//
//	r := rules.New()
//	grants, err := r.Adopt()   // what a former process of ours has left, if anything
//	err = r.Apply(cfg)         // the table is as cfg wants it; equal: nothing is sent
//	err = r.Set(grants)        // all grants there are; Add and Remove change some
//	err = r.Drain()            // what lives goes on, nothing begins
//	err = r.Delete()           // the table is gone
//
// A packet's way, and where rules of ours stand:
//
//	client --> prerouting                         forward         postrouting --> VM
//	           |                                  |               |
//	           steer (nat, dstnat)                condemned       hide (nat, srcnat)
//	             to the virtual address and         its mark:       our mark:
//	             the port range: access list,       reset           SNAT to the
//	             limit, grant -> mark, DNAT                         inside address
//	           guard (filter, dstnat + 50)
//	             relayed clients: pass              output --> either side
//	             what belongs to no flow:           |
//	             dropped, never answered            untracked (raw)
//	           |                                      spoofed packets with the
//	           input                                  mark of condemned flows
//	             refuse (filter)
//	               relayed clients: pass, to a socket of this host
//	               a SYN to the range that
//	               no grant has led away: reset
//
// A grant is an element of a map: client address . port -> VM address . port. Maps are
// asked once for every connection, at its first packet; what was decided is kept with
// the flow by the kernel. So taking a grant away ends nothing, and neither does the
// end of this process: the table stays, and the next process adopts it. Whoever wants
// a flow to end gives it the mark of condemned flows (package conntrack).
//
// A relayed grant, one without a VM, is an element of a set, client address . port: its
// client is served by a socket of this host, and is neither led away nor refused.
//
// Nothing that could be a packet of a living flow is ever answered with a reset, for
// the flow may belong to this node in a moment: packets that begin nothing and belong
// to nothing are dropped. Apart from the port range on the virtual addresses, TCP to
// the inside address, and flows with our marks, no packet meets a rule that decides.
//
// Changes go to the kernel in transactions: all of one, or nothing. An error names the
// object the kernel refused. What the layout is like, and what it cannot do:
// docs/decisions/0020-nftables.md.
package rules
