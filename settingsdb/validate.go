package settingsdb

import (
	"slices"
	"strings"
)

// Validate checks every rule of the document and returns all problems at once,
// each with the path of its key and with what would be right. What only one
// machine can know, such as whether an interface exists, is not checked here.
// Values whose feature this version lacks are refused too.
func (s Settings) Validate() Problems {
	var p Problems
	for _, check := range []func(*Problems, Settings){
		checkInternal, checkDispatchers, checkOutside, checkPorts, checkKeys, checkInterfaces, checkNodes,
		checkVRRP, checkBalance, checkLimits, checkTimeouts, checkTargets, checkAccess, checkListen,
		checkTLS, checkACME, checkForwarding, checkConsole,
	} {
		check(&p, s)
	}
	return p
}

func checkKeys(p *Problems, s Settings) {
	checkKey(p, "api_key", s.APIKey, 8)
	checkKey(p, "cli_key", s.CLIKey, 8)
	checkKey(p, "cluster_key", s.ClusterKey, 16)
	if s.APIKey == s.CLIKey && s.APIKey != "" {
		p.add("cli_key", "must differ from api_key")
	}
}

// maxKeyLen bounds all keys.
const maxKeyLen = 256

func checkKey(p *Problems, field string, key Secret, least int) {
	if len(key) < least || len(key) > maxKeyLen {
		p.add(field, "must have %d to %d characters, has %d", least, maxKeyLen, len(key))
	}
	if strings.ContainsFunc(key.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		p.add(field, "must be visible ASCII characters without blanks")
	}
}

// within reports a whole number outside of low..high.
func (p *Problems) within(field string, n, low, high int) {
	if n < low || n > high {
		p.add(field, "must be %d to %d, is %d", low, high, n)
	}
}

// oneOf reports a word that is none of the known ones.
func (p *Problems) oneOf(field, word string, known ...string) {
	if !slices.Contains(known, word) {
		p.add(field, "must be %s, is %s", strings.Join(known, " or "), quoted(word))
	}
}

func checkVRRP(p *Problems, s Settings) {
	v := s.VRRP
	p.within("vrrp.version", v.Version, 2, 3)
	p.within("vrrp.router_id", v.RouterID, 1, 255)
	p.within("vrrp.advert_ms", v.AdvertMS, 10, 40950)
	if v.AdvertMS%10 != 0 {
		p.add("vrrp.advert_ms", "must be a multiple of 10, is %d", v.AdvertMS)
	}
	p.within("vrrp.preempt_delay_s", v.PreemptDelayS, 0, day)
	p.oneOf("vrrp.mode", v.Mode, "multicast", "unicast")
	p.oneOf("vrrp.checksum", v.Checksum, "pseudo_header", "rfc9568")
	if v.Version == 2 {
		checkVRRP2(p, s)
	}
	if v.Mode == "unicast" && s.VirtualAddr != "" && !slices.ContainsFunc(s.InternalAddrs, func(a string) bool {
		return fullPrefixLen(a) == fullPrefixLen(s.VirtualAddr)
	}) {
		p.add("vrrp.mode", "must be multicast: no address of internal_addrs is of the family of virtual_addr")
	}
}

func checkVRRP2(p *Problems, s Settings) {
	if s.VRRP.AdvertMS%1000 != 0 {
		p.add("vrrp.advert_ms", "must be whole seconds with version 2 (a multiple of 1000), is %d", s.VRRP.AdvertMS)
	}
	if fullPrefixLen(s.VirtualAddr) == 128 {
		p.add("vrrp.version", "must be 3 for the IPv6 address in virtual_addr: version 2 knows IPv4 only")
	}
}

func checkBalance(p *Problems, s Settings) {
	b := s.Balance
	p.oneOf("balance.algorithm", b.Algorithm, "leastconn", "roundrobin", "rendezvous")
	p.within("balance.sticky_ttl_s", b.StickyTTLS, 1, year)
	p.within("balance.sticky_mask_v4", b.StickyMaskV4, 0, 32)
	p.within("balance.sticky_mask_v6", b.StickyMaskV6, 0, 128)
}

const (
	day      = 24 * 60 * 60
	year     = 365 * day
	maxCount = 1_000_000
)

func checkLimits(p *Problems, s Settings) {
	p.within("limits.max_connections", s.Limits.MaxConnections, 0, maxCount)
	p.within("limits.max_per_client", s.Limits.MaxPerClient, 0, maxCount)
	p.within("limits.open_per_client_per_s", s.Limits.OpenPerClientPerS, 0, maxCount)
}

// maxKeepalive is the largest TCP_KEEPIDLE that Linux takes, in seconds.
const maxKeepalive = 32767

func checkTimeouts(p *Problems, s Settings) {
	t := s.Timeouts
	p.within("timeouts.grant_s", t.GrantS, 0, day)
	p.within("timeouts.dial_ms", t.DialMS, 0, 120_000)
	p.within("timeouts.idle_s", t.IdleS, 0, year)
	p.within("timeouts.half_close_s", t.HalfCloseS, 0, year)
	p.within("timeouts.keepalive_s", t.KeepaliveS, 0, maxKeepalive)
	p.within("timeouts.user_timeout_ms", t.UserTimeoutMS, 0, day*1000)
	p.within("timeouts.session_max_s", t.SessionMaxS, 0, year)
}
