package statistics

import "time"

// VRRP is this node's part in who holds the virtual address.
type VRRP struct {
	Since     time.Time     // of the role
	Took      time.Duration // of the last take-over; 0: there was none
	Strangers int           // routers of somebody else with the same id
	Became    map[string]uint64
	Discarded map[string]uint64 // packets, by why
	Sent      uint64            // advertisements
	Unsent    uint64            // those that failed
	Received  uint64
	Announced uint64 // rounds of ARP or neighbour discovery
	Guards    uint64 // ends of the guard that nobody wanted
}

// election are the metrics of VRRP; a node without a virtual address has none.
var election = []shown{
	{describe("role_since_seconds", "Unix time since which the node has its role."), gauge, ofVRRP(func(v *VRRP, add func(float64, ...string)) {
		add(float64(v.Since.UnixMilli()) / 1000)
	})},
	{describe("vrrp_takeover_seconds", "Duration of the last take-over of the virtual address; 0 if there was none."), gauge, ofVRRP(func(v *VRRP, add func(float64, ...string)) { add(v.Took.Seconds()) })},
	{describe("vrrp_became_total", "Changes of role, by the new one.", "role"), counter, ofVRRP(func(v *VRRP, add func(float64, ...string)) {
		for _, r := range roles[:3] {
			add(float64(v.Became[r]), r)
		}
	})},
	{describe("vrrp_sent_total", "Advertisements sent."), counter, counted(func(v *VRRP) uint64 { return v.Sent })},
	{describe("vrrp_send_errors_total", "Advertisements that could not be sent."), counter, counted(func(v *VRRP) uint64 { return v.Unsent })},
	{describe("vrrp_received_total", "VRRP packets received."), counter, counted(func(v *VRRP) uint64 { return v.Received })},
	{describe("vrrp_discarded_total", "VRRP packets not heeded, by why.", "why"), counter, ofVRRP(func(v *VRRP, add func(float64, ...string)) { eachKey(v.Discarded, add) })},
	{describe("vrrp_announcements_total", "Times the virtual address was announced to the neighbours."), counter, counted(func(v *VRRP) uint64 { return v.Announced })},
	{describe("vrrp_guard_failures_total", "Guards of the virtual address that ended or had to be replaced."), counter, counted(func(v *VRRP) uint64 { return v.Guards })},
	{describe("vrrp_strangers", "Routers of somebody else that use the same router id."), gauge, ofVRRP(func(v *VRRP, add func(float64, ...string)) { add(float64(v.Strangers)) })},
}

// ofVRRP adds nothing for a node without a virtual address.
func ofVRRP(each func(*VRRP, func(float64, ...string))) func(*Snapshot, func(float64, ...string)) {
	return func(s *Snapshot, add func(float64, ...string)) {
		if s.VRRP != nil {
			each(s.VRRP, add)
		}
	}
}

func counted(of func(*VRRP) uint64) func(*Snapshot, func(float64, ...string)) {
	return ofVRRP(func(v *VRRP, add func(float64, ...string)) { add(float64(of(v))) })
}
