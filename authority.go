package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/api/certificate"
	"vdi-gateway/api/certificate/acme"
	"vdi-gateway/settingsdb"
	"vdi-gateway/vrrp"
)

// asksAuthority tells whether this node is the one to ask the authority for the
// certificate: the one that has the virtual address. On one loopback all have it, and
// the first living one asks. Who does not know the others yet does not ask.
func (a *app) asksAuthority() bool {
	a.mu.Lock()
	v, joined := virtualOf(a.current.Settings), a.joined
	a.mu.Unlock()
	switch {
	case !joined:
		return false
	case !v.IsValid():
		return true
	case v.IsLoopback():
		living := a.cluster.living()
		return len(living) > 0 && living[0] == a.own()
	}
	return a.vrrp.Status().Role == vrrp.RoleActive
}

// askACME exchanges accounts, certificates and challenges with the other nodes. What
// one of them has not heard it asks for by itself.
func (a *app) askACME(ctx context.Context, m acme.Message) [][]acme.Folder {
	answers, _ := askOthers[[]acme.Folder](ctx, a.cluster, callACME, m) // it has said so
	return answers
}

// acmeChecks tell how the authority is got along with.
func acmeChecks(s acme.Status) []api.Check {
	if !s.Config.Enabled {
		return nil
	}
	fault := s.Err
	switch {
	case s.Port != nil:
		fault = fmt.Errorf("challenges are not answered here: %w", s.Port)
	case s.Unkept != nil:
		fault = fmt.Errorf("what another node has cannot be kept here: %w", s.Unkept)
	case fault != nil:
		fault = fmt.Errorf("%s issues no certificate: %w; next try at %s", s.Config.Directory, s.Err, s.Next.UTC().Format(time.RFC3339))
	}
	who := "another node asks"
	if s.Active {
		who = "this node asks"
	}
	return []api.Check{check("acme", fault, fmt.Sprintf("%s %s for %s", who, s.Config.Directory, s.Config.Name))}
}

// renewIssued has the active node ask for another certificate than the one that there
// is.
func renewIssued(ctx context.Context, s settingsdb.Settings, deps certificate.Deps) error {
	cfg := planACME(s, netip.IPv4Unspecified()) // where challenges are answered does not matter
	if !cfg.Enabled {
		return errors.New("ssl is false: no certificate is asked for; set ssl to true in the settings")
	}
	if err := acme.Renew(ctx, deps.Dir, cfg); err != nil {
		return err
	}
	fmt.Println("The active node asks", cfg.Directory, "for another certificate within a minute; it renews by itself otherwise.")
	fmt.Println("How that goes: vdi-gateway status. What there is: vdi-gateway cert show.")
	return nil
}
