package peer

// reason is why a request was refused, or that it was not.
type reason uint8

const (
	served      reason = iota
	stranger           // not from a node, or no POST
	tooLarge           // or its length was not said, or it was cut short
	unopenable         // not sealed by one of the keys
	misdirected        // for another node, or not from where it came
	untimely           // clocks differ, or it is old
	outdated           // names another instance: the first one after a start
	replayed           // seen before
	unknown            // no handler of this name; counted as served, too
	reasons            // how many there are
)

// String is the reason's name in Stats.
func (r reason) String() string {
	return [reasons]string{
		"served", "stranger", "too_large", "unopenable", "misdirected",
		"untimely", "outdated", "replayed", "unknown",
	}[r]
}

// Stats counts the requests since the start by what became of them: "served", or
// why not.
func (s *Server) Stats() map[string]uint64 {
	stats := make(map[string]uint64, reasons)
	for r := range reasons {
		stats[r.String()] = s.counts[r].Load()
	}
	return stats
}
