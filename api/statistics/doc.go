// Package statistics shows how a node and its cluster do: GET /metrics for
// Prometheus, GET / for people, GET /data.json for that page. It serves nothing
// else.
//
// Whoever reaches the port may read it, so it knows aggregates alone: no user, no
// client, no VM. What it shows comes from two sides. The parts are asked: once a
// second and for every scrape, Source returns a Snapshot. And hot paths tell of
// what happens: Opened, Dialled, Refused and Closed, which may be called from
// anywhere at any time and cost a few atomic additions.
//
// The last ten minutes are kept, a point a second, so that a page has charts the
// moment it is opened. They are gone when the process ends; Prometheus is what
// remembers.
package statistics
