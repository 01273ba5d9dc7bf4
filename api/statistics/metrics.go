package statistics

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes is how many scrapes are answered at once; more get 503.
const maxScrapes = 4

// metricsHandler serves the exposition formats of Prometheus from a registry of
// its own.
func (s *Server) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&snapshots{source: s.deps.Source, version: s.deps.Version})
	registry.MustRegister(s.events.collectors()...)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		// One faulty metric must not hide the others.
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: s.deps.Log, MaxRequestsInFlight: maxScrapes,
	})
}

// snapshots turns a Snapshot into metrics when it is scraped.
type snapshots struct {
	source  func() Snapshot
	version string
}

// Describe lists every metric there can be.
func (c *snapshots) Describe(to chan<- *prometheus.Desc) {
	for _, m := range plain {
		to <- m.desc
	}
	for _, m := range slices.Concat(labelled, election) {
		to <- m.desc
	}
	to <- buildInfo
}

// Collect takes a Snapshot.
func (c *snapshots) Collect(to chan<- prometheus.Metric) {
	snap := c.source()
	to <- value(buildInfo, prometheus.GaugeValue, 1, c.version)
	for _, m := range plain {
		to <- value(m.desc, m.kind, m.of(&snap))
	}
	for _, m := range slices.Concat(labelled, election) {
		n := 0
		m.each(&snap, func(v float64, labels ...string) {
			if n++; n <= maxLabels {
				to <- value(m.desc, m.kind, v, labels...)
			}
		})
	}
}

func value(desc *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) prometheus.Metric {
	m, err := prometheus.NewConstMetric(desc, kind, v, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
