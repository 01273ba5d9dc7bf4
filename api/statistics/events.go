package statistics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// other stands for every code and reason that is not in the lists below: labels
// are bounded, whatever hot paths say.
const other = "other"

var (
	// codes are what open_connection can be refused with.
	codes = []string{
		"BAD_JSON", "BAD_REQUEST", "DISABLED", "DRAINING", "FORBIDDEN", "INTERNAL", "NO_FREE_PORT", "OVERLOADED",
		"RATE_LIMITED", "TARGET_DENIED", "TICKET_REQUIRED", "TOO_LARGE", "UNAUTHORIZED", "UNSUPPORTED_MEDIA_TYPE",
		"VALIDATION", "VM_TIMEOUT", "VM_UNREACHABLE", other,
	}
	// reasons are what sessions end for.
	reasons = []string{
		"admin", "client_closed", "idle", "keepalive_timeout", "max_time", "replaced", "shutdown", "vm_closed", "revoked",
		"vm_unreachable", "not_admitted", other,
	}
	// buckets are upper bounds in seconds: from a LAN to a patient time-out.
	buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
)

// events count what hot paths tell. Every series exists from the start, so that
// nothing is looked up under a lock and the first event is seen as an increase.
type events struct {
	totals  [3]atomic.Uint64 // opened, refused, closed: what the page shows
	opened  prometheus.Histogram
	opens   prometheus.Counter
	refused series
	closed  series
	dialled map[bool]prometheus.Observer
	dials   *prometheus.HistogramVec
}

func newEvents() *events {
	e := &events{
		opens:   prometheus.NewCounter(prometheus.CounterOpts{Name: "vdigateway_opens_total", Help: "Tunnels opened by open_connection."}),
		opened:  prometheus.NewHistogram(durations("vdigateway_open_duration_seconds", "Time open_connection took to open a tunnel.")),
		refused: newSeries("vdigateway_open_refusals_total", "Refused open_connection requests by error code.", "code", codes),
		closed:  newSeries("vdigateway_closes_total", "Sessions that ended, by reason.", "reason", reasons),
		dials:   prometheus.NewHistogramVec(durations("vdigateway_dial_duration_seconds", "Time of attempts to connect to a VM, by result."), []string{"result"}),
	}
	e.dialled = map[bool]prometheus.Observer{true: e.dials.WithLabelValues("ok"), false: e.dials.WithLabelValues("failed")}
	return e
}

func durations(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}
}

func (e *events) collectors() []prometheus.Collector {
	return []prometheus.Collector{e.opens, e.opened, e.refused.vec, e.closed.vec, e.dials}
}

// series is a counter with one label whose values are known.
type series struct {
	vec   *prometheus.CounterVec
	known map[string]prometheus.Counter // never changed
}

func newSeries(name, help, label string, values []string) series {
	s := series{
		vec:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label}),
		known: map[string]prometheus.Counter{},
	}
	for _, v := range values {
		s.known[v] = s.vec.WithLabelValues(v)
	}
	return s
}

func (s series) count(value string) {
	c := s.known[value]
	if c == nil {
		c = s.known[other]
	}
	c.Inc()
}

// Opened counts an open_connection that was answered with a tunnel after d.
func (s *Server) Opened(d time.Duration) {
	s.events.totals[0].Add(1)
	s.events.opens.Inc()
	s.events.opened.Observe(d.Seconds())
}

// Refused counts an open_connection that was refused with the error code of the
// API. A code that is not foreseen counts as "other".
func (s *Server) Refused(code string) {
	s.events.totals[1].Add(1)
	s.events.refused.count(code)
}

// Dialled counts an attempt to connect to a VM that succeeded or failed after d.
func (s *Server) Dialled(d time.Duration, ok bool) { s.events.dialled[ok].Observe(d.Seconds()) }

// Closed counts a session that ended for reason, a word of the audit.
// A reason that is not foreseen counts as "other".
func (s *Server) Closed(reason string) {
	s.events.totals[2].Add(1)
	s.events.closed.count(reason)
}
