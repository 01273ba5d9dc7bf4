// Command bench measures the product beside its peers, in networks of its own:
//
//	go run ./tests/bench api     opens per second, start-up time, audit rows per second
//	go run ./tests/bench relay   speed, latency and cost of relayed connections, beside HAProxy and nginx
//	go run ./tests/bench cluster three nodes as one gateway, beside HAProxy in front of the same nodes
//	go run ./tests/bench failover how long nobody serves when a node fails, beside Keepalived
//	go run ./tests/bench console WebSockets that carry desktops, beside websockify and nginx
//	go run ./tests/bench survive sessions whose node dies, beside HAProxy and Keepalived
//	go run ./tests/bench kernel  speed and cost where nftables moves the bytes, beside rules by hand
//
// It needs root, or user namespaces. BENCH_ROUNDS sets the rounds, 5 without
// it and 10 of failover, BENCH_CONGESTION the congestion control of all hosts, reno without it. What
// they print is explained in docs/benchmarks.md; the figures are made
// by package figure, which other benchmarks reuse. Exit code 1: the check of
// what was carried failed, so that there are no figures.
//
// `bench limit ADDR:PORT` is the bare server that `bench api` compares with;
// bench starts it itself. `bench load JOB` is a generator of package load, which
// bench starts on the hosts of its networks; `bench sync` and `bench pages` are
// parts of cluster and console that need a process of their own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"vdi-gateway/tests/bench/load"
	"vdi-gateway/tests/lab"
)

func main() { os.Exit(lab.Main(run)) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	what := ""
	if len(os.Args) > 1 {
		what = os.Args[1]
	}
	var err error
	switch what {
	case "api":
		err = benchAPI(ctx)
	case "relay":
		err = benchRelay(ctx)
	case "cluster":
		err = benchCluster(ctx)
	case "failover":
		err = benchFailover(ctx)
	case "console":
		err = benchConsole(ctx)
	case "survive":
		err = benchSurvive(ctx)
	case "kernel":
		err = benchKernel(ctx)
	case "pages":
		err = showPages(ctx, os.Args[2:])
	case "sync":
		err = benchSync(ctx)
	case load.Command:
		err = load.Main(os.Args[2:])
	case "limit":
		err = serveLimit(ctx, os.Args[2:])
	default:
		fmt.Fprintln(os.Stderr, "usage: bench api | relay | cluster | failover | console | survive | kernel")
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}
