package settingsdb

import (
	"fmt"
	"net/netip"
	"strings"

	"vdi-gateway/settingsdb/ciphers"
)

// weakKeyLen is the length below which a key can be guessed by persistence.
const weakKeyLen = 20

// Warnings returns what is legal in a valid document but worth saying at start
// and in health. No text contains a key.
func Warnings(s Settings) []string {
	warnings := weakKeys(s)
	if !s.Targets.RequireTicket {
		warnings = append(warnings, "targets.require_ticket is false: any holder of cli_key may name any allowed VM")
	}
	if len(s.Targets.Allow) == 0 {
		warnings = append(warnings, "targets.allow is empty: no VM can be reached")
	}
	for i, target := range s.Targets.Allow {
		if network, err := netip.ParsePrefix(target.CIDR); err == nil && network.Bits() == 0 {
			warnings = append(warnings, fmt.Sprintf("targets.allow[%d] is %s: any address may be reached", i, network))
		}
	}
	if s.Timeouts.GrantS == 0 {
		warnings = append(warnings, "timeouts.grant_s is 0: a grant that is never used keeps its port for ever")
	}
	if s.InsideAddr != "" && s.Forwarding != "kernel" {
		warnings = append(warnings, `inside_addr is set and forwarding is not "kernel": VMs see the nodes' own addresses`)
	}
	if len(s.TrustedProxies) > 0 && s.Forwarding == "kernel" {
		warnings = append(warnings, `forwarding is "kernel": clients behind trusted_proxies reach the API and consoles, but no tunnels on range ports`)
	}
	if s.TLS.ACME != nil && !s.SSL {
		warnings = append(warnings, "tls.acme is set and ssl is false: no certificate is asked for")
	}
	return append(warnings, unwiseCiphers(s.TLS)...)
}

// unwiseCiphers are the suites of TLS 1.2 that were named and should not be, or cannot be
// spoken.
func unwiseCiphers(t TLS) []string {
	set, err := ciphers.Parse(t.Ciphers)
	if err != nil || t.DisableTLS12 {
		return nil // the list does not count
	}
	var warnings []string
	if len(set.Weak) > 0 {
		warnings = append(warnings, "tls.ciphers names weak suites: "+strings.Join(set.Weak, ", "))
	}
	if len(set.Missing) > 0 {
		warnings = append(warnings, "tls.ciphers names suites that this gateway does not have: "+strings.Join(set.Missing, ", "))
	}
	return warnings
}

func weakKeys(s Settings) []string {
	warnings := []string{}
	for _, key := range []struct {
		name  string
		value Secret
	}{{"api_key", s.APIKey}, {"cli_key", s.CLIKey}, {"cluster_key", s.ClusterKey}} {
		if len(key.value) < weakKeyLen || distinct(key.value) < weakKeyLen/3 {
			warnings = append(warnings, key.name+" is easy to guess: use 32 random bytes")
		}
	}
	if s.ClusterKey == s.APIKey || s.ClusterKey == s.CLIKey {
		warnings = append(warnings, "cluster_key is used as another key too: use one of its own")
	}
	return warnings
}

func distinct(key Secret) int {
	seen := map[byte]bool{}
	for i := range len(key) {
		seen[key[i]] = true
	}
	return len(seen)
}
