package statistics

import (
	"net/netip"
	"strings"
	"testing"
)

func TestThePageIsCompleteWithoutItsScript(t *testing.T) {
	_, _, url := started(t, three())
	_, _, body := call(t, "GET", url+"/")
	for _, want := range []string{
		`data-is="sessions">1` + "\u202f" + `234<`, `data-is="down">123` + "\u202f" + `GB<`, `data-is="up">5.4` + "\u202f" + `MB<`,
		"10.0.0.2", `<span class="pill draining">draining</span>`, "revision 16, behind", `<article class="no-answer">`,
		`<span class="pill role-active">active</span>`, "<td>tunnel</td>", version, `http-equiv="refresh"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

func TestThePageEscapesWhatOthersSay(t *testing.T) {
	snap := three()
	evil := `"><script>alert(1)</script>`
	snap.Nodes[1].Version, snap.Nodes[1].Role, snap.Backends[0].Front = evil, evil, evil
	_, _, url := started(t, snap)
	for _, path := range []string{"/", "/data.json"} {
		if _, _, body := call(t, "GET", url+path); strings.Contains(body, "<script>alert") {
			t.Errorf("%s has the text of a node as markup", path)
		}
	}
}

func TestThePageOfANodeThatHasNotBegun(t *testing.T) {
	_, _, url := started(t, Snapshot{})
	status, _, body := call(t, "GET", url+"/")
	if status != 200 || !strings.Contains(body, "no address") || !strings.Contains(body, "not ready") {
		t.Errorf("got %d %.300q", status, body)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0_B", 999: "999_B", 1000: "1.0_kB", 12_340: "12.3_kB", 123_456: "123_kB", 5_400_000_000: "5.4_GB", 2_000_000_000_000_000_000: "2000_PB",
	} {
		if got := strings.ReplaceAll(size(n), "\u202f", "_"); got != want {
			t.Errorf("size of %d: got %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1_000", 1234567: "1_234_567"} {
		if got := strings.ReplaceAll(count(n), "\u202f", "_"); got != want {
			t.Errorf("count of %d: got %s, want %s", n, got, want)
		}
	}
	if got := text(netip.Addr{}); got != "no address" {
		t.Errorf("got %q", got)
	}
}
