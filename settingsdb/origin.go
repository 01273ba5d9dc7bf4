package settingsdb

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Origin is where a page of a browser comes from (RFC 6454 section 4). Two spellings
// of the same one are equal values.
type Origin struct {
	Scheme string // "http" or "https"
	Host   string // a name in lower case and ASCII, or an address, without brackets
	Port   uint16
}

// anOrigin is how every refusal of one begins.
const anOrigin = `must be an origin such as "https://desk.example.org:8443"`

// ParseOrigin reads scheme://host[:port] and nothing more. The error says what is
// wrong with it. Upper case, the default port, the spelling of an address and the
// letters of an international name make no difference.
func ParseOrigin(text string) (Origin, error) {
	scheme, authority, found := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case strings.Contains(text, "*"):
		return Origin{}, errors.New(anOrigin + `, each by itself: "*" would let every page that a user visits use his sessions`)
	case text == "null":
		return Origin{}, errors.New(anOrigin + `: "null" is what pages of anybody can have`)
	case !found || scheme != "http" && scheme != "https":
		return Origin{}, fmt.Errorf("%s, with http:// or https:// before the host, is %s", anOrigin, quoted(text))
	case strings.ContainsAny(authority, "/?#\\"):
		return Origin{}, fmt.Errorf("%s, without a path or anything else behind the port, is %s", anOrigin, quoted(text))
	case strings.Contains(authority, "@"):
		return Origin{}, fmt.Errorf("%s, without a user, is %s", anOrigin, quoted(text))
	}
	o, ok := parseAuthority(authority, scheme)
	if !ok {
		return Origin{}, fmt.Errorf("%s: a host name or an address (IPv6 in brackets), and a port of 1 to 65535 or none, is %s", anOrigin, quoted(text))
	}
	return o, nil
}

// parseAuthority reads host[:port].
func parseAuthority(text, scheme string) (Origin, bool) {
	o := Origin{Scheme: scheme, Port: 80}
	if scheme == "https" {
		o.Port = 443
	}
	host, port := text, ""
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		host, port = text[:i], text[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strings.Trim(port, "0123456789") != "" {
			return Origin{}, false
		}
		o.Port = uint16(n)
	}
	inner, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
	}
	o.Host = CanonicalHost(inner)
	is6 := strings.Contains(inner, ":")
	return o, o.Host != "" && is6 == bracketed && (is6 || host == inner)
}

// CanonicalHost returns a host name or address in the spelling in which equal ones
// are equal; "" for what is neither.
func CanonicalHost(text string) string {
	if ip, err := netip.ParseAddr(text); err == nil {
		if ip.Zone() != "" {
			return ""
		}
		return ip.Unmap().String()
	}
	name, err := idna.Lookup.ToASCII(text)
	if err != nil || !isHostName(name) {
		return ""
	}
	return strings.ToLower(name)
}

// String is the origin as a browser sends it.
func (o Origin) String() string {
	host := o.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.Scheme == "http" && o.Port == 80 || o.Scheme == "https" && o.Port == 443 {
		return o.Scheme + "://" + host
	}
	return o.Scheme + "://" + net.JoinHostPort(o.Host, strconv.Itoa(int(o.Port)))
}
