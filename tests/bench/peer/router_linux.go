package peer

import (
	"errors"
	"strings"

	"vdi-gateway/tests/node"
)

// Router is a program that keeps a virtual address on its host by VRRP.
type Router struct {
	process

	standby string // what it prints when it is there and has not the address
	guarded bool   // one of its processes takes the address away when the others die
	beside  []*Relay
}

// RouterOf is a node of the product as a router.
func RouterOf(n *node.Node) *Router {
	return &Router{process: product{n}, standby: "this node is backup now", guarded: true}
}

// With counts a relay on the same host among the router's processes.
func (r *Router) With(other *Relay) *Router {
	r.beside = append(r.beside, other)
	return r
}

// Standby tells whether it has said that it takes part and has not the address.
func (r *Router) Standby() bool { return strings.Contains(r.Output(), r.standby) }

// Family are all processes of the router, and of what was started with it.
func (r *Router) Family() ([]int, error) {
	pids, err := family(r.process)
	for _, other := range r.beside {
		more, merr := family(other.process)
		pids, err = append(pids, more...), errors.Join(err, merr)
	}
	return pids, err
}

func family(p process) (pids []int, err error) {
	_, err = sum(p.PID(), func(pid int) (int, error) {
		pids = append(pids, pid)
		return 0, nil
	})
	return pids, err
}

// Victims are the processes that a fault of the program hits: all of them, unless one
// is there for that case. While any of Keepalived's lives, and afterwards, the
// address stays.
func (r *Router) Victims() ([]int, error) {
	if r.guarded {
		return []int{r.PID()}, nil
	}
	return r.Family()
}
