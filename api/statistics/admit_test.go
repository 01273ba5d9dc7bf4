package statistics

import (
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
)

func TestWhoMayNotComeInIsReset(t *testing.T) {
	var closed atomic.Bool
	s := New(Deps{Source: func() Snapshot { return Snapshot{} }, Version: version, Log: quiet(), Admit: func(netip.Addr) bool { return !closed.Load() }})
	if err := s.Apply(Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	url := "http://" + s.Addrs()[0].String() + "/metrics"
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, shut := range []bool{false, true, false} {
		closed.Store(shut)
		resp, err := client.Get(url)
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err != nil) != shut {
			t.Errorf("kept out %t: got %v", shut, err)
		}
	}
}
