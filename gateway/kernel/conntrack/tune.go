package conntrack

// Tuning is which sysctls a node needs. Those of conntrack itself are always needed.
type Tuning struct {
	IPv4, IPv6 bool // which packets are forwarded
	// Liberal also takes packets for good whose sequence numbers do not fit, in flows that
	// this node has seen from their beginning; in injected ones it is so anyway.
	Liberal bool
}

// setting is a sysctl, what it has to be and what happens otherwise.
type setting struct{ key, value, otherwise string }

// settings are in the order in which they are set: the kernel looks at events and
// accounting when a flow begins, so they come before anything is forwarded.
func (t Tuning) settings() []setting {
	const ct = "net.netfilter.nf_conntrack_"
	all := []setting{
		{ct + "events", "1", "the ends of sessions are not noticed"},
		{ct + "acct", "1", "traffic is not counted and sessions cannot be ended at once"},
		{ct + "timestamp", "1", "the beginnings of sessions are not known"},
		{ct + "tcp_loose", "1", "sessions do not survive the failure of their node"},
	}
	if t.Liberal {
		all = append(all, setting{ct + "tcp_be_liberal", "1", "packets that come in disorder may end a session"})
	}
	if t.IPv4 {
		all = append(all, setting{"net.ipv4.ip_forward", "1", "IPv4 sessions reach no VM"})
	}
	if t.IPv6 {
		all = append(all, setting{"net.ipv6.conf.all.forwarding", "1", "IPv6 sessions reach no VM"})
	}
	return all
}

// Change is a sysctl that is, or was, not as it has to be.
type Change struct{ Key, Was, Wanted string }

func (c Change) String() string { return c.Key + " is " + c.Was + ", " + c.Wanted + " is needed" }
