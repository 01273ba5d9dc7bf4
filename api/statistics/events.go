package statistics

import (
	"sync/atomic"
	"time"
)

// events count what hot paths tell.
type events struct {
	totals [3]atomic.Uint64 // opened, refused, closed: what the page shows
}

func newEvents() *events { return &events{} }

// Opened counts an open_connection that was answered with a tunnel after d.
func (s *Server) Opened(_ time.Duration) { s.events.totals[0].Add(1) }

// Refused counts an open_connection that was refused with the error code of the
// API.
func (s *Server) Refused(_ string) { s.events.totals[1].Add(1) }

// Dialled counts an attempt to connect to a VM that succeeded or failed after d.
func (s *Server) Dialled(_ time.Duration, _ bool) {}

// Closed counts a session's channel that ended for reason, a word of the audit.
func (s *Server) Closed(_ string) { s.events.totals[2].Add(1) }
