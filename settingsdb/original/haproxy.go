package original

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// HAProxy lays a haproxy.cfg over a document. What a section is for is told by its shape
// and by the names that the original gives: stats, service_tunnel, client, tunnels. The
// error is that the document would be wrong by itself; then nothing is taken.
func HAProxy(doc Document, file []Section) (Report, error) {
	h := haproxy{draft: draft{doc: doc}, purposes: map[string]purpose{}}
	for _, s := range file {
		h.learn(s)
	}
	h.nodes = h.serversOf(file, client)
	for _, s := range file {
		h.section(s)
	}
	return h.report()
}

// purpose is what a section of the original is for.
type purpose string

const (
	statistics purpose = "the statistics"
	service    purpose = "the service tunnel"
	client     purpose = "the client API"
	tunnels    purpose = "the range of ports"
	peers      purpose = "what the nodes have in common"
)

type haproxy struct {
	draft
	purposes map[string]purpose // of sections, by kind and name
	nodes    []string           // the servers of the client API

	dispatchers []string
}

func key(s Section) string { return s.Kind + " " + s.Name }

// learn finds out what a section is for, and a backend by the frontend that leads there.
func (h *haproxy) learn(s Section) {
	p := guess(s)
	if p == "" {
		return
	}
	h.purposes[key(s)] = p
	for _, d := range s.Body {
		if d.Words[0] == "default_backend" && len(d.Words) > 1 {
			h.purposes["backend "+d.Words[1]] = p
		}
	}
}

func guess(s Section) purpose {
	switch {
	case s.Kind == "peers":
		return peers
	case s.Kind != "listen" && s.Kind != "frontend":
		return ""
	}
	for _, d := range s.Body {
		if d.Words[0] == "stats" {
			return statistics
		}
		if b, err := parseBind(d.Words); err == nil && b.last > b.first {
			return tunnels
		}
	}
	switch name := strings.ToLower(s.Name); {
	case strings.Contains(name, "service"):
		return service
	case name == "client" || strings.Contains(name, "api"):
		return client
	}
	return ""
}

// serversOf are the addresses of the servers for a purpose, in the order of the file.
func (h *haproxy) serversOf(file []Section, p purpose) (list []string) {
	for _, s := range file {
		if h.purposes[key(s)] != p {
			continue
		}
		for _, d := range s.Body {
			if a, _, err := parseServer(d.Words); err == nil && !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	return list
}

func (h *haproxy) section(s Section) {
	for _, d := range s.Body {
		p, known := h.purposes[key(s)]
		switch {
		case s.Kind == "global" || s.Kind == "defaults":
			h.general(d)
		case !known:
			h.notTaken(d.Line, d.Words, fmt.Sprintf("what %s is for is not known: it is none of stats, service_tunnel, client, tunnels", strings.TrimSpace(key(s))))
		default:
			h.directive(d, p)
		}
	}
}

// general is what concerns all sections.
func (h *haproxy) general(d Directive) {
	switch d.Words[0] {
	case "timeout":
		h.notTaken(d.Line, d.Words, "timeouts of this gateway are those of tunnels: see timeouts")
	case "maxconn":
		h.notTaken(d.Line, d.Words, "limits.max_connections counts tunnels, not connections")
	case "balance":
		h.balance(d, "")
	default:
		h.notNeeded(d.Line, d.Words, "it is about HAProxy itself")
	}
}

func (h *haproxy) directive(d Directive, p purpose) {
	switch d.Words[0] {
	case "bind":
		h.bind(d, p)
	case "server", "peer":
		h.server(d, p)
	case "balance":
		h.balance(d, p)
	case "stick", "stick-table", "table":
		h.stick(d)
	case "acl", "tcp-request", "http-request", "http-response", "tcp-response", "use_backend":
		if p == statistics && slices.Contains(d.Words, "prometheus-exporter") {
			h.notNeeded(d.Line, d.Words, "/metrics is on stats_port")
			return
		}
		h.notTaken(d.Line, d.Words, "rules are not read: who may come in is said by access, the rest by nobody")
	case "timeout":
		h.notTaken(d.Line, d.Words, "timeouts of this gateway are those of tunnels: see timeouts")
	case "default_backend":
		h.notNeeded(d.Line, d.Words, "every node serves "+string(p))
	case "stats", "mode", "option", "log", "default-server":
		h.notNeeded(d.Line, d.Words, "it is so, or about HAProxy itself")
	default:
		h.notTaken(d.Line, d.Words, "this gateway has no such setting")
	}
}

func (h *haproxy) bind(d Directive, p purpose) {
	b, err := parseBind(d.Words)
	if err != nil {
		h.notTaken(d.Line, d.Words, err.Error())
		return
	}
	paths := map[purpose]string{statistics: "stats_port", service: "service_port", client: "balancer_api_port", peers: "peers_port"}
	var list []take
	switch {
	case p == tunnels:
		list = append(list, take{path: "port_range_start", value: b.first}, take{path: "port_range_stop", value: b.last})
	case b.first != b.last:
		h.notTaken(d.Line, d.Words, fmt.Sprintf("%s has one port here", p))
		return
	default:
		list = append(list, take{path: paths[p], value: b.first})
	}
	if b.addr != "" && p != peers {
		list = append(list, take{path: "virtual_addr", value: b.addr})
	}
	if len(b.options) > 0 {
		list[0].remark = "options of bind are not: ssl and tls are settings of their own"
	}
	h.take(d.Line, d.Words, list...)
}

// server is a node, or behind the service tunnel a dispatcher when nodes are others.
func (h *haproxy) server(d Directive, p purpose) {
	addr, port, err := parseServer(d.Words)
	switch {
	case p == peers:
		h.notNeeded(d.Line, d.Words, "nodes know each other by internal_addrs")
	case p == statistics:
		h.notTaken(d.Line, d.Words, "the statistics are a node's own")
	case err != nil:
		h.notTaken(d.Line, d.Words, err.Error())
	case p == service && !slices.Contains(h.nodes, addr):
		h.dispatcher(d, addr, port)
	default:
		list := []take{{path: "internal_addrs", value: h.nodes}}
		if p == tunnels && !slices.Contains(h.nodes, addr) {
			h.notTaken(d.Line, d.Words, "it is no server of the client API, and every node serves both")
			return
		}
		if path := map[purpose]string{service: "service_backend_port", client: "api_port"}[p]; path != "" && port != 0 {
			list = append(list, take{path: path, value: port})
		}
		list[len(list)-1].remark = serverRemark(d.Words[3:])
		h.take(d.Line, d.Words, list...)
	}
}

// serverRemark tells of options that would change who is sent where.
func serverRemark(options []string) string {
	for _, o := range []string{"weight", "backup", "disabled", "maxconn", "ssl"} {
		if slices.Contains(options, o) {
			return "without " + o + ": all nodes are alike"
		}
	}
	return ""
}

// dispatcher adds to those that lines before had: the list is one value.
func (h *haproxy) dispatcher(d Directive, addr string, port int) {
	list := []take{{path: "disp_addrs", remark: "it is none of the nodes"}}
	if port != 0 {
		list = append(list, take{path: "disp_port", value: port})
	}
	h.take(d.Line, d.Words, list...)
	h.dispatchers = append(h.dispatchers, addr)
	for i := range h.takes {
		if h.takes[i].path == "disp_addrs" {
			h.takes[i].value = h.dispatchers
		}
	}
}

// balance is one setting here, for the client API, which sends tunnels too.
func (h *haproxy) balance(d Directive, p purpose) {
	name := strings.Join(d.Words[1:min(2, len(d.Words))], "")
	algorithm := map[string]string{
		"roundrobin": "roundrobin", "static-rr": "roundrobin", "leastconn": "leastconn", "source": "rendezvous",
	}[name]
	switch {
	case p != client && p != tunnels && p != "":
		h.notNeeded(d.Line, d.Words, "the one of the client API counts for all")
	case algorithm == "":
		h.notTaken(d.Line, d.Words, "must be leastconn, roundrobin or rendezvous here")
	case p == "":
		h.notNeeded(d.Line, d.Words, "the one of the client API counts")
	default:
		t := take{path: "balance.algorithm", value: algorithm}
		if algorithm == "rendezvous" {
			t.remark = "which sends a client by his address too"
		}
		h.take(d.Line, d.Words, t)
	}
}

func (h *haproxy) stick(d Directive) {
	i := slices.Index(d.Words, "expire")
	if i < 0 || i+1 >= len(d.Words) {
		h.notNeeded(d.Line, d.Words, "clients stay with their node, and all nodes know with which, for balance.sticky_ttl_s")
		return
	}
	ttl, err := haproxyTime(d.Words[i+1])
	if err != nil {
		h.notTaken(d.Line, d.Words, err.Error())
		return
	}
	h.take(d.Line, d.Words, take{path: "balance.sticky_ttl_s", value: int(ttl / time.Second)})
}
