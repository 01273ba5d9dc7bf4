// Package conntrack reads and writes the TCP flows of the kernel's connection tracking:
// those that nftables carries between a client and a VM, translated at both ends. It does
// so by messages of its own, since an entry with NAT cannot be made otherwise than by the
// tool conntrack (docs/decisions/0019-conntrack.md).
//
//	table, err := conntrack.Open()
//	flows, err := table.Dump(ctx, conntrack.Filter{Mark: 7, Mask: 0xff})
//	failed, err := table.Inject(ctx, flows)          // on another node
//
// # What a flow is
//
// A Flow is two tuples, as the kernel shows it: Orig, what the client sends, and Reply,
// what the VM sends back. With the client C, the virtual address V, the inside address I
// and the VM M:
//
//	Orig    C -> V
//	Reply   M -> I         an untranslated flow would have V -> C here
//
// Translated makes one from those four. The key of a flow is Orig, with Zone and family.
//
// # What is said
//
// A Table is a netlink socket (NETLINK_NETFILTER, subsystem conntrack, as in
// linux/netfilter/nfnetlink_conntrack.h). A message is
//
//	nlmsghdr    length, type 1<<8|NEW, GET or DELETE, flags, sequence, port    host order
//	nfgenmsg    family, version 0, resource 0
//	attributes  length, type, value; may be nested; padded to 4                network order
//
// To make an entry:
//
//	NEW, CREATE|EXCL
//	  TUPLE_ORIG   C -> V
//	  TUPLE_REPLY  V -> C      not translated: the kernel translates it itself, by
//	  NAT_SRC      I           these two. An entry whose reply comes translated has no
//	  NAT_DST      M           NAT bits, and both ends would be reset.
//	  STATUS       14          SEEN_REPLY, ASSURED, CONFIRMED; without the last: EBUSY
//	  TIMEOUT      seconds
//	  MARK
//	  PROTOINFO    TCP: ESTABLISHED; be liberal both ways, for this node has seen no
//	               sequence number
//
// Several messages go by one write, and the kernel has done them all when that returns.
// It answers those that failed and the last one. EEXIST may mean that the flow is there,
// or that another one has taken what the VM answers to: Inject looks and tells.
//
// # What is heard
//
// A Listener is a second socket, in the groups NEW, UPDATE and DESTROY. Its socket filter
// finds the attribute MARK and has the kernel drop what is not ours, before it wakes
// anybody. The end of a connection shows in UPDATE (FIN_WAIT, LAST_ACK, CLOSE, ...) long
// before DESTROY, which waits for a timer: who wants to be prompt takes the update and
// deletes the entry. Counters come with Dump, Get and DESTROY, never with an update. What
// Inject, SetMark and Delete do is heard, too, with Event.By set to Table.Port.
//
// When events come faster than they are read, the kernel drops some. The listener goes on
// and reports Overrun once what had been queued is through: dump again then, and take what
// comes afterwards as newer. Whoever injects many entries does so before it listens: each
// event costs as much as its entry.
//
// # What has to be set
//
// Check says in words what this kernel lacks; Tune sets the sysctls that the data path
// needs. Both, like Open, Listen and Kick, belong to the network namespace of the thread
// that calls them, and need CAP_NET_ADMIN there (Kick also CAP_NET_RAW).
package conntrack
