package statistics

import (
	"sync/atomic"
	"time"
)

type events struct{ opened, refused, closed atomic.Uint64 }

func newEvents() *events { return &events{} }

func (e *events) total() totals {
	return totals{e.opened.Load(), e.refused.Load(), e.closed.Load()}
}

// Opened counts an open_connection that was answered with a tunnel after d.
func (s *Server) Opened(_ time.Duration) { s.events.opened.Add(1) }

// Refused counts an open_connection that was refused with the error code of the
// API.
func (s *Server) Refused(_ string) { s.events.refused.Add(1) }

// Dialled counts an attempt to reach a VM that succeeded or failed after d.
func (s *Server) Dialled(_ time.Duration, _ bool) {}

// Closed counts a session's channel that ended for reason, a word of the audit.
func (s *Server) Closed(_ string) { s.events.closed.Add(1) }
