package load

import (
	"net/netip"
	"os"
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
