package conntrack

// The numbers of linux/netlink.h, linux/netfilter/nfnetlink.h and
// linux/netfilter/nfnetlink_conntrack.h. They are written here rather than taken from the
// system's package so that what reads and writes messages is the same on every system.
const (
	headerLen = 16 // struct nlmsghdr
	genLen    = 4  // struct nfgenmsg
	attrLen   = 4  // struct nlattr

	typeError = 2 // NLMSG_ERROR
	typeDone  = 3 // NLMSG_DONE

	flagRequest = 0x1
	flagAck     = 0x4
	flagIntr    = 0x10  // NLM_F_DUMP_INTR
	flagDump    = 0x300 // NLM_F_DUMP
	flagExcl    = 0x200
	flagCreate  = 0x400

	subsystem = 1 << 8 // NFNL_SUBSYS_CTNETLINK
	msgNew    = subsystem
	msgGet    = subsystem | 1
	msgDelete = subsystem | 2

	attrNested = 0x8000 // NLA_F_NESTED
	attrOrder  = 0x4000 // NLA_F_NET_BYTEORDER

	family4 = 2  // AF_INET
	family6 = 10 // AF_INET6
	tcp     = 6  // IPPROTO_TCP
)

// CTA_: the attributes of an entry.
const (
	ctaTupleOrig     = 1
	ctaTupleReply    = 2
	ctaStatus        = 3
	ctaProtoInfo     = 4
	ctaNATSrc        = 6
	ctaTimeout       = 7
	ctaMark          = 8
	ctaCountersOrig  = 9
	ctaCountersReply = 10
	ctaID            = 12
	ctaNATDst        = 13
	ctaZone          = 18
	ctaTimestamp     = 20
	ctaMarkMask      = 21
)

// The attributes nested in those.
const (
	ctaTupleIP    = 1
	ctaTupleProto = 2

	ctaIP4Src = 1
	ctaIP4Dst = 2
	ctaIP6Src = 3
	ctaIP6Dst = 4

	ctaProtoNum     = 1
	ctaProtoSrcPort = 2
	ctaProtoDstPort = 3

	ctaProtoInfoTCP  = 1
	ctaTCPState      = 1
	ctaTCPFlagsOrig  = 4
	ctaTCPFlagsReply = 5
	tcpBeLiberal     = 8 // IP_CT_TCP_FLAG_BE_LIBERAL
	tcpCloseInit     = 4 // IP_CT_TCP_FLAG_CLOSE_INIT

	ctaNAT4Min      = 1
	ctaNAT4Max      = 2
	ctaNATProto     = 3
	ctaNAT6Min      = 4
	ctaNAT6Max      = 5
	ctaNATPortMin   = 1
	ctaNATPortMax   = 2
	ctaCountPackets = 1
	ctaCountBytes   = 2
	ctaTimeStart    = 1
)
