package original

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// bound is where a section listens.
type bound struct {
	addr        string // "": everywhere
	first, last int
	options     []string
}

// parseBind reads bind ADDRESS:PORTS, of which the original writes one with a comma
// behind it.
func parseBind(words []string) (b bound, err error) {
	if len(words) < 2 || words[0] != "bind" {
		return b, fmt.Errorf("is no bind")
	}
	at := strings.TrimSuffix(words[1], ",")
	if strings.Contains(at, ",") {
		return b, fmt.Errorf("several addresses on one line: one is expected")
	}
	i := strings.LastIndex(at, ":")
	if i < 0 {
		return b, fmt.Errorf("must be ADDRESS:PORT")
	}
	host, ports := at[:i], at[i+1:]
	for _, prefix := range []string{"ipv4@", "ipv6@"} {
		host = strings.TrimPrefix(host, prefix)
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	first, last, isRange := strings.Cut(ports, "-")
	if b.first, err = portOf(first); err == nil {
		b.last = b.first
		if isRange {
			b.last, err = portOf(last)
		}
	}
	b.options = words[2:]
	if a, wrong := netip.ParseAddr(host); wrong == nil && !a.IsUnspecified() {
		b.addr = a.String()
	} else if wrong != nil && host != "" && host != "*" {
		return b, fmt.Errorf("the address must be an IP address")
	}
	return b, err
}

func portOf(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return 0, fmt.Errorf("a port must be 1 to 65535")
	}
	return n, nil
}

// parseServer reads server NAME ADDRESS[:PORT]; port is 0 without one.
func parseServer(words []string) (addr string, port int, err error) {
	if len(words) < 3 || words[0] != "server" {
		return "", 0, fmt.Errorf("must be server NAME ADDRESS:PORT")
	}
	host, number := words[2], ""
	if i := strings.LastIndex(host, ":"); i >= 0 && (strings.Contains(host, "]") || strings.Count(host, ":") == 1) {
		host, number = host[:i], host[i+1:]
	}
	if number != "" {
		if port, err = portOf(number); err != nil {
			return "", 0, err
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String(), port, nil
	}
	return host, port, nil
}

// haproxyTime reads a time of HAProxy's, in milliseconds without a unit (its manual,
// section 2.5).
func haproxyTime(text string) (time.Duration, error) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	unit, known := map[string]time.Duration{
		"us": time.Microsecond, "": time.Millisecond, "ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
	}[text[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || !known {
		return 0, fmt.Errorf("a time must be a number with us, ms, s, m, h or d")
	}
	return time.Duration(n) * unit, nil //nolint:gosec // 31 bits
}
