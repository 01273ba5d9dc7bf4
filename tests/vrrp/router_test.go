package vrrp

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
	product "vdi-gateway/vrrp"
)

// routerVariable holds what a process is to be that is a router and no test.
const routerVariable = "VDI_GATEWAY_ROUTER"

// plan is what a router's process is told.
type plan struct {
	Config  product.Config
	Prepare time.Duration // how long it prepares; 0: it has nothing to prepare
}

// routerMain is the main function of a router or of its guard; nil: this is neither.
func routerMain() func() error {
	text := os.Getenv(routerVariable)
	switch {
	case text == "":
		return nil
	case len(os.Args) > 1 && os.Args[1] == "guard":
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
		return func() error { return product.RunGuard(os.Stdin, os.Stdout) }
	}
	return func() error {
		var p plan
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		return p.run(ctx)
	}
}

// run is a node that consists of nothing but the package, and can always serve.
func (p plan) run(ctx context.Context) error {
	log := logrus.New()
	deps := product.Deps{
		Guard: []string{"/proc/self/exe", "guard"}, Log: log,
		Followed: func(active netip.Addr) { log.Infof("follows %s", active) },
	}
	if p.Prepare > 0 {
		deps.Prepare = func(context.Context) {
			time.Sleep(p.Prepare)
			log.Infof("prepared with %d of the addresses here", p.present())
		}
	}
	v := product.New(deps)
	if err := v.Check(p.Config); err != nil {
		return err
	}
	if err := v.Apply(p.Config); err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			v.SetReady(true, "")
			time.Sleep(time.Second)
		}
	}()
	return v.Run(ctx)
}

// present is how many of the addresses this host has.
func (p plan) present() (n int) {
	list, _ := net.InterfaceAddrs()
	for _, a := range list {
		for _, own := range append([]product.Placed{{Prefix: p.Config.Addrs[0]}}, p.Config.Inside...) {
			if strings.HasPrefix(a.String(), own.Prefix.Addr().String()+"/") {
				n++
			}
		}
	}
	return n
}

// router is a host between two networks, with a process that is a router of the package
// alone.
type router struct {
	t       testing.TB
	out, in *lab.Host
	plan    plan
	process *lab.Process
	former  []*lab.Process
}

func (r *router) launch() {
	r.t.Helper()
	if r.process != nil {
		r.process.Kill() // waits for its end
		r.former = append(r.former, r.process)
	}
	text, err := json.Marshal(r.plan)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), routerVariable+"="+string(text))
	if r.process, err = r.out.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
}

// competes waits until the router says that it takes part.
func (r *router) competes() {
	r.t.Helper()
	eventually(r.t, r.out.Name()+" competes", func() bool { return r.role() != "" && r.role() != "fault" })
}

// role is what the router has said last; "": nothing yet.
func (r *router) role() string {
	said := r.process.Output()
	i := strings.LastIndex(said, " role=")
	if i < 0 {
		return ""
	}
	role, _, _ := strings.Cut(said[i+len(" role="):], " ")
	return role
}

func (r *router) guard() (pid int) {
	r.t.Helper()
	eventually(r.t, r.out.Name()+" has one guard", func() bool {
		pids := node.Children(r.process.PID())
		if len(pids) == 1 {
			pid = pids[0]
		}
		return len(pids) == 1
	})
	return pid
}

func (r *router) signal(s syscall.Signal, pids ...int) {
	r.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil {
			r.t.Fatalf("%s: %s for process %d: %v", r.out.Name(), s, pid, err)
		}
	}
}

// mac is the address of the interface inside.
func (r *router) mac() (mac string) {
	r.t.Helper()
	err := r.in.Do(func() error {
		link, err := net.InterfaceByName("eth1")
		if err == nil {
			mac = link.HardwareAddr.String()
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return mac
}
