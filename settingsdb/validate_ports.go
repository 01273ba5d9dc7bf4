package settingsdb

const (
	maxPort      = 65535
	maxRangeSize = 10000
)

type namedPort struct {
	field string
	port  int
}

// listenPorts are the single ports that a node listens on.
func (s Settings) listenPorts() []namedPort {
	ports := []namedPort{
		{"api_port", s.APIPort},
		{"balancer_api_port", s.BalancerAPIPort},
		{"service_port", s.ServicePort},
		{"service_backend_port", s.ServiceBackendPort},
		{"stats_port", s.StatsPort},
		{"peers_port", s.PeersPort},
	}
	if a := s.TLS.ACME; a != nil {
		ports = append(ports, namedPort{"tls.acme.port", a.Port})
	}
	return ports
}

// checkPorts checks all ports. disp_port may equal one of ours, since it is a
// port of other machines, yet it stays out of the range like all others.
func checkPorts(p *Problems, s Settings) {
	ports := s.listenPorts()
	first := map[int]string{}
	for _, n := range ports {
		if other, twice := first[n.port]; twice {
			p.add(n.field, "must differ from %s, both are %d", other, n.port)
			continue
		}
		first[n.port] = n.field
	}
	for _, n := range append(ports, namedPort{"disp_port", s.DispPort}) {
		p.within(n.field, n.port, 1, maxPort)
		if n.port >= s.PortRangeStart && n.port <= s.PortRangeStop {
			p.add(n.field, "must be outside of the port range %d-%d, is %d", s.PortRangeStart, s.PortRangeStop, n.port)
		}
	}
	checkRange(p, s.PortRangeStart, s.PortRangeStop)
}

func checkRange(p *Problems, start, stop int) {
	p.within("port_range_start", start, 1, maxPort)
	p.within("port_range_stop", stop, 1, maxPort)
	switch {
	case start > stop:
		p.add("port_range_stop", "must not be below port_range_start, %d is below %d", stop, start)
	case stop-start >= maxRangeSize:
		p.add("port_range_stop", "must leave at most %d ports, %d-%d are %d", maxRangeSize, start, stop, stop-start+1)
	}
}
