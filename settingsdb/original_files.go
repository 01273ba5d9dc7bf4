package settingsdb

import (
	"maps"
	"net/netip"
	"slices"

	"vdi-gateway/settingsdb/original"
)

// HAProxy lays the original's haproxy.cfg over the document, as [original.HAProxy] says,
// and returns the outcome with what became of every line. With an error the returned
// document is not to be used.
func (s Settings) HAProxy(file []original.Section) (Settings, []original.Line, error) {
	return s.laidOver(netip.Addr{}, func(d original.Document) (original.Report, error) { return original.HAProxy(d, file) })
}

// Keepalived is HAProxy for keepalived.conf. node is this host's own address among the
// nodes, which its priority belongs to; invalid: it is not known.
func (s Settings) Keepalived(file []original.Statement, node netip.Addr) (Settings, []original.Line, error) {
	return s.laidOver(node, func(d original.Document) (original.Report, error) { return original.Keepalived(d, file) })
}

func (s Settings) laidOver(node netip.Addr, lay func(original.Document) (original.Report, error)) (Settings, []original.Line, error) {
	report, err := lay(original.Document{
		Now: s.originalValues(node),
		Check: func(v original.Values) (found []original.Problem) {
			for _, p := range s.withOriginal(v, node).Validate() {
				found = append(found, original.Problem(p))
			}
			return found
		},
	})
	if err != nil {
		return s, nil, err
	}
	return s.withOriginal(report.Values, node), report.Lines, nil
}

// priorityPath is where a file says the priority of the host that it is on.
const priorityPath = "priority"

// originalFields are where the document keeps what the original's files can set.
func (s *Settings) originalFields() map[string]any {
	return map[string]any{
		"internal_addrs":       &s.InternalAddrs,
		"disp_addrs":           &s.DispAddrs,
		"disp_port":            &s.DispPort,
		"virtual_addr":         &s.VirtualAddr,
		"virtual_prefix_len":   &s.VirtualPrefixLen,
		"interface":            &s.Interface,
		"api_port":             &s.APIPort,
		"balancer_api_port":    &s.BalancerAPIPort,
		"port_range_start":     &s.PortRangeStart,
		"port_range_stop":      &s.PortRangeStop,
		"service_port":         &s.ServicePort,
		"service_backend_port": &s.ServiceBackendPort,
		"stats_port":           &s.StatsPort,
		"peers_port":           &s.PeersPort,
		"vrrp.version":         &s.VRRP.Version,
		"vrrp.router_id":       &s.VRRP.RouterID,
		"vrrp.advert_ms":       &s.VRRP.AdvertMS,
		"vrrp.preempt":         &s.VRRP.Preempt,
		"vrrp.preempt_delay_s": &s.VRRP.PreemptDelayS,
		"vrrp.mode":            &s.VRRP.Mode,
		"balance.algorithm":    &s.Balance.Algorithm,
		"balance.sticky_ttl_s": &s.Balance.StickyTTLS,
	}
}

func (s Settings) originalValues(node netip.Addr) original.Values {
	values := original.Values(valuesOf(s.originalFields()))
	if slices.ContainsFunc(s.InternalAddrs, func(a string) bool { return parsed(a) == node }) {
		values[priorityPath] = s.Node(node).Priority
	}
	return values
}

func (s Settings) withOriginal(values original.Values, node netip.Addr) Settings {
	setFields(s.originalFields(), values)
	priority, known := values[priorityPath].(int)
	if !known || priority == s.Node(node).Priority {
		return s
	}
	key := node.String()
	for k := range s.Nodes {
		if parsed(k) == node {
			key = k
		}
	}
	own := s.Nodes[key]
	own.Priority = priority
	s.Nodes = maps.Clone(s.Nodes)
	s.Nodes[key] = own
	return s
}
