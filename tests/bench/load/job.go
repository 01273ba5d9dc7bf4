package load

import (
	"net/netip"
	"time"
)

// Kind is what a generator does.
type Kind string

// The kinds of generators.
const (
	// Server listens on Addr and serves all the others.
	Server Kind = "serve"
	// Bulk receives on Conns connections as fast as they carry.
	Bulk Kind = "bulk"
	// Ping sends a small message on one connection, waits for it to come back
	// and sends the next.
	Ping Kind = "ping"
	// Pace sends Rate small messages per second in all, on Conns connections in
	// turn, and waits for none of them before the next connection's.
	Pace Kind = "pace"
	// Churn has Conns connections at a time: connect, one byte there and
	// back, close, connect again.
	Churn Kind = "churn"
	// Hold opens Conns connections, has one byte sent back on each, and keeps
	// them idle while Marks.Begin runs.
	Hold Kind = "hold"
	// Check carries checked random streams on Conns connections at once; some
	// ends close early and some reset. It has no measured time.
	Check Kind = "check"
	// WebBulk, WebPing and WebHold do the same through WebSockets. WebCheck
	// carries checked streams, of which none ends early.
	WebBulk  Kind = "webbulk"
	WebPing  Kind = "webping"
	WebHold  Kind = "webhold"
	WebCheck Kind = "webcheck"
)

// Job is an order to a generator.
type Job struct {
	Kind  Kind
	Addr  netip.AddrPort // to connect to; Server: to listen on
	From  []netip.Addr   // own addresses to connect from, in turn; none: any
	Conns int
	Rate  int            // Pace: messages per second
	Warm  time.Duration  // before the measured time
	Last  time.Duration  // the measured time
	Seed  uint64         // Check: makes the streams
	Judge netip.AddrPort // Check: the server itself, to ask what it saw
	Web   Web            // of the kinds with WebSockets
}

// Web says how a connection becomes a WebSocket.
type Web struct {
	Path      string   // of the request
	Protocols []string // offered, "binary" among them, which has to be answered
	Secure    bool     // by TLS 1.3, whoever answers
}

// from is the address that connection i comes from; invalid: any.
func (j Job) from(i int) netip.Addr {
	if len(j.From) == 0 {
		return netip.Addr{}
	}
	return j.From[i%len(j.From)]
}

// Result is what a generator saw in its measured time.
type Result struct {
	Time  time.Duration
	Bytes int64         // Bulk, Check: carried by them
	Conns int64         // Churn: done; Hold: open; Check: carried as they should
	P50   time.Duration // Ping, Pace: there and back
	P99   time.Duration
	Suite string // WebBulk by TLS: the cipher suite
}

// Gigabits is the speed in Gb/s.
func (r Result) Gigabits() float64 { return float64(r.Bytes) * 8 / 1e9 / r.Time.Seconds() }

// PerSecond is how many connections a second had.
func (r Result) PerSecond() float64 { return float64(r.Conns) / r.Time.Seconds() }

// Echo is the first byte of a connection on which everything comes back.
const Echo = wantEcho

// The first byte of a connection.
const (
	wantEcho   = 'e' // this byte and all that follow come back
	wantBulk   = 'b' // the server sends until it is left
	wantStream = 's' // a checked stream; its number follows
	wantReport = 'r' // what the server saw of the checked streams
	wantWhole  = 'w' // a checked stream that ends by its length; its number follows
)
