package load

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vdi-gateway/tests/lab"
)

// webRelay passes WebSockets on to a server and lets mend have what comes back
// and what goes there.
func webRelay(t *testing.T, host *lab.Host, server netip.AddrPort, secure bool, mend func(b []byte, up bool) []byte) netip.AddrPort {
	t.Helper()
	l, err := host.Listen(netip.AddrPortFrom(host.Addr(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}})
		if err != nil {
			return
		}
		far, err := host.Dial(netip.Addr{}, server, patience)
		if err != nil {
			_ = ws.CloseNow()
			return
		}
		near := websocket.NetConn(r.Context(), ws, websocket.MessageBinary)
		go copyMended(far, near, func(b []byte) []byte { return mend(b, true) })
		copyMended(near, far, func(b []byte) []byte { return mend(b, false) })
	}))
	_ = s.Listener.Close() // it has to be on the host
	s.Listener = l
	if secure {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// copyMended copies one direction; what a stream is opened with is left alone.
func copyMended(to io.WriteCloser, from io.Reader, mend func([]byte) []byte) {
	defer to.Close()
	first := true
	for buf := make([]byte, 32<<10); ; first = false {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		b := buf[:n]
		if !first {
			b = mend(b)
		}
		if _, err := to.Write(b); err != nil {
			return
		}
	}
}

func untouched(b []byte, _ bool) []byte { return b }

func TestWebGenerators(t *testing.T) {
	client, server := stage(t)
	for _, secure := range []bool{false, true} {
		relay := webRelay(t, client, server, secure, untouched)
		for _, tt := range []struct {
			job  Job
			good func(Result) bool
		}{
			{Job{Kind: WebBulk, Conns: 1}, func(r Result) bool { return r.Bytes > 0 && (r.Suite != "") == secure }},
			{Job{Kind: WebBulk, Conns: 8}, func(r Result) bool { return r.Bytes > 0 }},
			{Job{Kind: WebPing}, func(r Result) bool { return r.P50 > 0 && r.P99 >= r.P50 }},
			{Job{Kind: WebHold, Conns: 50}, func(r Result) bool { return r.Conns == 50 }},
			{Job{Kind: WebCheck, Conns: 10, Seed: 1}, func(r Result) bool { return r.Conns == 10 && r.Bytes > longDown }},
		} {
			job := tt.job
			job.Addr, job.From = relay, client.Addrs()
			job.Web = Web{Path: "/", Protocols: []string{"binary", "more"}, Secure: secure}
			job.Warm, job.Last = 50*time.Millisecond, 200*time.Millisecond
			if r, err := Run(t.Context(), client, job, Marks{}); err != nil || !tt.good(r) {
				t.Errorf("%s with %d connections, TLS %v: got %+v and %v", job.Kind, job.Conns, secure, r, err)
			}
		}
	}
}

func TestWebCheckNoticesARelayThatErrs(t *testing.T) {
	client, server := stage(t)
	for _, tt := range []struct {
		name string
		mend func(b []byte, up bool) []byte
	}{
		{"changes a byte from the client", func(b []byte, up bool) []byte {
			if up {
				b[0] ^= 1
			}
			return b
		}},
		{"swaps bytes from the server", func(b []byte, up bool) []byte {
			if !up {
				slices.Reverse(b)
			}
			return b
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			job := Job{Kind: WebCheck, Addr: webRelay(t, client, server, false, tt.mend), Conns: 5, Seed: 7, Web: Web{Path: "/", Protocols: []string{"binary"}}}
			if r, err := Run(t.Context(), client, job, Marks{}); err == nil {
				t.Errorf("got %+v and success, want it to be noticed", r)
			}
		})
	}
}

func TestUpgradeThatIsRefused(t *testing.T) {
	client, server := stage(t)
	job := Job{Kind: WebPing, Addr: webRelay(t, client, server, false, untouched), Web: Web{Path: "/", Protocols: []string{"other"}}}
	if _, err := Run(t.Context(), client, job, Marks{}); err == nil {
		t.Error("without the subprotocol: got success, want an error")
	}
}
