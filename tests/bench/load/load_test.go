package load

import (
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Main(func() int {
		if len(os.Args) > 1 && os.Args[1] == Command {
			if err := Main(os.Args[2:]); err != nil {
				_, _ = os.Stderr.WriteString(err.Error())
				return 1
			}
			return 0
		}
		return m.Run()
	}))
}

// stage is a network with a client and a server.
func stage(t *testing.T) (client *lab.Host, server netip.AddrPort) {
	t.Helper()
	n := lab.New(t)
	client = n.Host("client", "10.99.0.10/24", "10.99.0.11/24")
	host := n.Host("server", "10.99.0.20/24")
	server = netip.AddrPortFrom(host.Addr(), 9000)
	if err := Serve(host, server); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestGenerators(t *testing.T) {
	client, server := stage(t)
	for _, tt := range []struct {
		job  Job
		good func(Result) bool
	}{
		{Job{Kind: Bulk, Conns: 1}, func(r Result) bool { return r.Bytes > 0 }},
		{Job{Kind: Bulk, Conns: 8}, func(r Result) bool { return r.Bytes > 0 }},
		{Job{Kind: Ping}, func(r Result) bool { return r.P50 > 0 && r.P99 >= r.P50 }},
		{Job{Kind: Pace, Conns: 10, Rate: 1000}, func(r Result) bool { return r.P50 > 0 && r.P99 >= r.P50 }},
		{Job{Kind: Churn, Conns: 4}, func(r Result) bool { return r.Conns > 0 }},
		{Job{Kind: Hold, Conns: 100}, func(r Result) bool { return r.Conns == 100 }},
		{Job{Kind: Check, Conns: 200, Seed: 1, Judge: server}, func(r Result) bool { return r.Conns == 200 && r.Bytes > 0 }},
	} {
		job := tt.job
		job.Addr, job.From = server, client.Addrs()
		job.Warm, job.Last = 50*time.Millisecond, 200*time.Millisecond
		if r, err := Run(t.Context(), client, job, Marks{}); err != nil || !tt.good(r) {
			t.Errorf("%s with %d connections: got %+v and %v", job.Kind, job.Conns, r, err)
		}
	}
}

// TestCheckNoticesARelayThatErrs lets checked streams pass relays that do
// something to them.
func TestCheckNoticesARelayThatErrs(t *testing.T) {
	client, server := stage(t)
	for _, tt := range []struct {
		name string
		mend func(b []byte, last bool) []byte
		want bool
	}{
		{"carries everything", func(b []byte, _ bool) []byte { return b }, true},
		{"changes a byte", func(b []byte, _ bool) []byte { b[len(b)-1] ^= 1; return b }, false},
		{"swaps bytes", func(b []byte, _ bool) []byte { slices.Reverse(b); return b }, false},
		{"loses the end", func(b []byte, last bool) []byte {
			if last {
				return b[:len(b)-1]
			}
			return b
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			job := Job{Kind: Check, Addr: erring(t, client, server, tt.mend), Judge: server, Conns: 50, Seed: 7}
			if _, err := Run(t.Context(), client, job, Marks{}); (err == nil) != tt.want {
				t.Errorf("got %v, want success: %v", err, tt.want)
			}
		})
	}
}

// erring relays from the client's host to the server's and lets mend have what
// follows a connection's first words.
func erring(t *testing.T, host *lab.Host, server netip.AddrPort, mend func([]byte, bool) []byte) netip.AddrPort {
	t.Helper()
	l, err := host.Listen(netip.AddrPortFrom(host.Addr(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.AcceptTCP()
			if err != nil {
				return
			}
			far, err := host.Dial(netip.Addr{}, server, patience)
			if err != nil {
				_ = near.Close()
				continue
			}
			const firstWords = 9
			_, _ = io.CopyN(far, near, firstWords)
			go pass(far, near, mend)
			go pass(near, far, mend)
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// pass carries one direction; it holds a piece back until it knows whether
// another one follows.
func pass(to, from *net.TCPConn, mend func([]byte, bool) []byte) {
	var held []byte
	for buf := make([]byte, 32<<10); ; {
		n, err := from.Read(buf)
		if len(held) > 0 && (n > 0 || err != nil) {
			_, _ = to.Write(mend(held, err != nil))
		}
		held = append([]byte(nil), buf[:n]...)
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}
