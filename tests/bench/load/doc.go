// Package load makes traffic for benchmarks: a server, and clients that fill a
// path, measure its latency, open connections as fast as they can, hold many
// idle, or check that what arrives is what was sent.
//
// Each runs as a process of its own on a host of a lab network, so that its
// work is not billed to what is measured: the benchmark's program starts
// itself once more with the argument "load" and a Job, and calls Main then.
//
//	server, err := load.Serve(vm, addr)
//	result, err := load.Run(ctx, client, load.Job{Kind: load.Bulk, Addr: relay, Conns: 32, ...}, load.Marks{})
//
// The generators are light, since on a small machine they take their share of
// the processors: the server and the small clients are one epoll loop each,
// bulk data is sent with sendfile and thrown away by the receiving kernel.
//
// One server serves all kinds of clients: the first byte of a connection says
// what it wants.
package load
