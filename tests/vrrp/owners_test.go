package vrrp

import (
	"slices"
	"strings"
	"time"

	"vdi-gateway/tests/lab"
)

// slack is what anything may take longer than the protocol needs.
const slack = 100 * time.Millisecond

// down is how long a backup with this priority waits for an advertisement (RFC 9568
// section 6.1), when they come at the interval.
func down(priority int, every time.Duration) time.Duration {
	return 3*every + time.Duration(256-priority)*every/256
}

// masterDown is the longest that a take-over among nodes of ours takes.
func masterDown() time.Duration { return down(224, interval) + slack } // the third node

// only waits until one host alone has the address, and fails when that took longer
// than limit, counted from a moment in the past.
func (r *rig) only(h *lab.Host, since time.Time, limit time.Duration) {
	r.t.Helper()
	eventually(r.t, h.Name()+" alone has the address, and not "+names(r.owners.Now()), func() bool {
		return slices.Equal(r.owners.Now(), []*lab.Host{h})
	})
	if took := r.lastChange().Sub(since); took > limit {
		r.t.Errorf("%s alone has the address: got it after %s, want it within %s", h.Name(), took, limit)
	}
}

// takes waits until a host has the address, and fails when that took longer than limit.
func (r *rig) takes(h *lab.Host, since time.Time, limit time.Duration) {
	r.t.Helper()
	eventually(r.t, h.Name()+" has the address", func() bool { return slices.Contains(r.owners.Now(), h) })
	for _, s := range r.owners.Spans(since) {
		if !slices.Contains(s.Owners, h) {
			continue
		}
		if took := s.From.Sub(since); took > limit {
			r.t.Errorf("%s has the address: got it after %s, want it within %s", h.Name(), took, limit)
		}
		return
	}
}

// lastChange is since when the owners are those of now.
func (r *rig) lastChange() time.Time {
	spans := r.owners.Spans(r.began)
	return spans[len(spans)-1].From
}

// settled waits until one host has the address, and returns it. Nodes that start together
// may both take it: so one has to have kept it for as long as an election lasts.
func (r *rig) settled() (owner *lab.Host) {
	r.t.Helper()
	eventually(r.t, "one host keeps the address", func() bool {
		spans := r.owners.Spans(r.began)
		last := spans[len(spans)-1]
		if len(last.Owners) != 1 || time.Since(last.From) < masterDown() {
			return false
		}
		owner = last.Owners[0]
		return true
	})
	return owner
}

// keeps fails when a host has not been the only owner since a moment. It waits until
// that is some time ago.
func (r *rig) keeps(h *lab.Host, since time.Time, length time.Duration) {
	r.t.Helper()
	until(since.Add(length))
	for _, s := range r.owners.Spans(since) {
		if !slices.Equal(s.Owners, []*lab.Host{h}) {
			r.t.Errorf("got %s as owners for %s, want %s to keep the address", names(s.Owners), s.Length(), h.Name())
		}
	}
}

// gap fails when nobody had the address for longer than limit.
func (r *rig) gap(since time.Time, limit time.Duration) {
	r.t.Helper()
	r.never(since, limit, "nobody has the address", func(owners []*lab.Host) bool { return len(owners) == 0 })
}

// overlap fails when two had the address for longer than limit.
func (r *rig) overlap(since time.Time, limit time.Duration) {
	r.t.Helper()
	r.never(since, limit, "several have the address", func(owners []*lab.Host) bool { return len(owners) > 1 })
}

// gone fails when a host had the address longer than limit after a moment.
func (r *rig) gone(h *lab.Host, since time.Time, limit time.Duration) {
	r.t.Helper()
	eventually(r.t, h.Name()+" does not have the address", func() bool { return !slices.Contains(r.owners.Now(), h) })
	r.never(since, limit, h.Name()+" has the address", func(owners []*lab.Host) bool { return slices.Contains(owners, h) })
}

// never fails when something was so for longer than limit.
func (r *rig) never(since time.Time, limit time.Duration, what string, so func(owners []*lab.Host) bool) {
	r.t.Helper()
	var from time.Time
	for _, s := range r.owners.Spans(since) {
		if !so(s.Owners) {
			from = time.Time{}
			continue
		}
		if from.IsZero() {
			from = s.From
		}
		if long := s.To.Sub(from); long > limit {
			r.t.Errorf("%s: got that for %s from %s on, want %s at most", what, long, from.UTC().Format("15:04:05.000"), limit)
		}
	}
}

func names(hosts []*lab.Host) string {
	var list []string
	for _, h := range hosts {
		list = append(list, h.Name())
	}
	if list == nil {
		return "nobody"
	}
	return strings.Join(list, " and ")
}
