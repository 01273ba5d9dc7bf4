package agreement

import (
	"encoding/json"
	"testing"
)

// Whatever another node sends is answered or refused, and binds nobody for good.
func FuzzReceive(f *testing.F) {
	for _, kind := range []string{kindAsk, kindFetch, kindPrepare, kindApply, kindFinish, kindConfirm, "?"} {
		b, err := json.Marshal(message{Kind: kind, Proposal: proposal{ID: "x", Document: []byte("{}")}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fleet := newFleet(t, 1, 1)
		defer fleet.crash(0)
		got, err := fleet.node(0).Receive(t.Context(), fleet.addrs[0], b)
		if err == nil {
			if _, err := decode[answer](got); err != nil {
				t.Errorf("the answer is not understood: %v", err)
			}
		}
	})
}
