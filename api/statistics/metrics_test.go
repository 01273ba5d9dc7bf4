package statistics

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func (s *source) change(change func(*Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.snap)
}

// exposition is what a scrape got: series with labels as written, and types.
type exposition struct {
	series map[string]string // value by series
	types  map[string]string // of vdigateway_*, by name
}

func scrape(t *testing.T, url string) exposition {
	t.Helper()
	status, _, body := call(t, "GET", url+"/metrics")
	if status != 200 {
		t.Fatalf("got %d: %s", status, body)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatalf("the exposition does not parse: %v", err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	e := exposition{map[string]string{}, map[string]string{}}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		var name, kind string
		if _, err := fmt.Sscanf(line, "# TYPE %s %s", &name, &kind); err == nil && strings.HasPrefix(name, "vdigateway_") {
			e.types[name] = kind
		}
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			e.series[line[:i]] = line[i+1:]
		}
	}
	return e
}

func (e exposition) want(t *testing.T, series, value string) {
	t.Helper()
	if got, ok := e.series[series]; !ok || got != value {
		t.Errorf("%s: got %q, want %q", series, got, value)
	}
}

func TestMetricsOfASnapshot(t *testing.T) {
	_, src, url := started(t, three())
	e := scrape(t, url)
	for series, value := range map[string]string{
		`vdigateway_build_info{version="0.1.0-test"}`: "1",
		`vdigateway_ready`:                                                     "1",
		`vdigateway_role{role="active"}`:                                       "1",
		`vdigateway_role{role="backup"}`:                                       "0",
		`vdigateway_settings_revision`:                                         "17",
		`vdigateway_sessions`:                                                  "1234",
		`vdigateway_bytes_total{direction="up"}`:                               "5.4e+06",
		`vdigateway_dispatchers{state="down"}`:                                 "1",
		`vdigateway_cluster_members{state="alive"}`:                            "2",
		`vdigateway_cluster_members{state="dead"}`:                             "1",
		`vdigateway_backend_up{front="tunnel",node="10.0.0.3"}`:                "0",
		`vdigateway_backend_connections_total{front="tunnel",node="10.0.0.1"}`: "4000",
		`vdigateway_directory_records{kind="grant"}`:                           "41",
		`vdigateway_directory_lag_seconds`:                                     "0.015",
		`vdigateway_directory_refused_total{why="slot"}`:                       "2",
		`vdigateway_relay_spliced_bytes_total`:                                 "99",
		`vdigateway_kernel_flows`:                                              "11",
		`vdigateway_kernel_refused_total`:                                      "12",
		`vdigateway_kernel_limited_total`:                                      "13",
		`vdigateway_kernel_dropped_packets_total`:                              "14",
		`vdigateway_closes_total{reason="idle"}`:                               "0",
		`vdigateway_open_refusals_total{code="TARGET_DENIED"}`:                 "0",
		`vdigateway_dial_duration_seconds_count{result="failed"}`:              "0",
	} {
		e.want(t, series, value)
	}
	for _, name := range []string{"go_goroutines", "process_open_fds"} {
		if e.series[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	src.change(func(s *Snapshot) { s.Sessions, s.Directory = 5, nil })
	e = scrape(t, url)
	e.want(t, "vdigateway_sessions", "5")
	if _, there := e.series["vdigateway_directory_bytes"]; there {
		t.Error("a node alone has metrics of a directory")
	}
}

func TestMetricsOfEvents(t *testing.T) {
	s, _, url := started(t, Snapshot{})
	s.Opened(30 * time.Millisecond)
	s.Dialled(2*time.Millisecond, true)
	s.Dialled(3*time.Second, false)
	s.Refused("TARGET_DENIED")
	s.Closed("idle")
	for n := range 1000 {
		s.Refused(fmt.Sprint("made up ", n))
		s.Closed(fmt.Sprint("\xff", n))
	}
	e := scrape(t, url)
	for series, value := range map[string]string{
		`vdigateway_opens_total`:                                            "1",
		`vdigateway_open_duration_seconds_bucket{le="0.025"}`:               "0",
		`vdigateway_open_duration_seconds_bucket{le="0.05"}`:                "1",
		`vdigateway_dial_duration_seconds_bucket{result="ok",le="0.0025"}`:  "1",
		`vdigateway_dial_duration_seconds_bucket{result="failed",le="2.5"}`: "0",
		`vdigateway_dial_duration_seconds_bucket{result="failed",le="5"}`:   "1",
		`vdigateway_open_refusals_total{code="TARGET_DENIED"}`:              "1",
		`vdigateway_open_refusals_total{code="other"}`:                      "1000",
		`vdigateway_closes_total{reason="idle"}`:                            "1",
		`vdigateway_closes_total{reason="other"}`:                           "1000",
	} {
		e.want(t, series, value)
	}
	if got, want := s.state(0), (state{Opened: 1, Refused: 1001, Closed: 1001}); got.Opened != want.Opened || got.Refused != want.Refused || got.Closed != want.Closed {
		t.Errorf("the page: got %d, %d, %d, want %d, %d, %d", got.Opened, got.Refused, got.Closed, want.Opened, want.Refused, want.Closed)
	}
}

func TestEventsAllocateNothing(t *testing.T) {
	s, _ := newServer(t, Snapshot{})
	if n := testing.AllocsPerRun(1000, func() {
		s.Opened(time.Millisecond)
		s.Dialled(time.Millisecond, false)
		s.Refused("VALIDATION")
		s.Closed("never heard of")
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestAFaultyMetricHidesNoOther(t *testing.T) {
	snap := three()
	snap.Backends = append(snap.Backends, snap.Backends[0]) // a series twice
	for n := range 3 * maxLabels {
		snap.Directory.Records[fmt.Sprint("kind", n)] = n
	}
	snap.Directory.Refused["\xff"] = 1 // no label can be that
	_, _, url := started(t, snap)
	e := scrape(t, url)
	e.want(t, "vdigateway_sessions", "1234")
	e.want(t, `vdigateway_backend_connections{front="tunnel",node="10.0.0.1"}`, "40")
	kinds := 0
	for series := range e.series {
		if strings.HasPrefix(series, "vdigateway_directory_records{") {
			kinds++
		}
	}
	if kinds != maxLabels {
		t.Errorf("got %d kinds, want %d", kinds, maxLabels)
	}
}
