package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"vdi-gateway/api/certificate"
	"vdi-gateway/settingsdb"
)

// machine is this one as join and leave change it: by its database, or by the API
// of the node that runs on it.
type machine struct {
	store   *settingsdb.Store
	running *client // nil: no node runs
	was     settingsdb.Settings
	own     netip.Addr // as the user said, or invalid
}

// openMachine opens the database, or makes one for own.
func openMachine(ctx context.Context, path string, own netip.Addr) (*machine, error) {
	store, err := settingsdb.Open(path)
	if errors.Is(err, settingsdb.ErrNotExist) {
		var fresh settingsdb.Settings
		if fresh, err = freshSettings(own); err == nil {
			store, err = settingsdb.Create(path, fresh, "first start")
		}
	}
	if err != nil {
		return nil, err
	}
	m := &machine{store: store, own: own}
	rev, err := store.Current(ctx)
	if err == nil {
		m.was = rev.Settings
		err = store.Lock()
	}
	if errors.Is(err, settingsdb.ErrLocked) {
		m.running, err = m.node(rev.Settings)
	}
	if err != nil {
		_ = store.Close() // err says what is wrong
		return nil, err
	}
	return m, nil
}

// node is the running node, by the settings that it has. One of several on this
// machine is never taken for another.
func (m *machine) node(s settingsdb.Settings) (*client, error) {
	local, err := localAddrs()
	if err != nil {
		return nil, err
	}
	own, err := ownNode(s, m.own, local)
	if err != nil {
		if own, err = ownNode(s, netip.Addr{}, local); err != nil {
			return nil, fmt.Errorf("which node runs on this database is not clear; stop it first: %w", err)
		}
	}
	return nodeClient(s, apiAddr(s, own)), nil
}

// put makes next the settings, under a number that other nodes have it by.
func (m *machine) put(ctx context.Context, next settingsdb.Settings, author string, number int64) error {
	if m.running == nil {
		_, err := m.store.PutAs(ctx, next, author, number)
		return err
	}
	var answer json.RawMessage
	err := m.running.call(ctx, "POST", "/v3/change_settings/", json.RawMessage(next.JSON()), &answer)
	if err == nil {
		m.running, err = m.node(next) // by its new port and key
	}
	return err
}

func (m *machine) close() error { return m.store.Close() }

// fellow is another node of the cluster, as the dispatcher sees it.
type fellow struct{ *client }

// fetch reads the settings and their revision.
func (f fellow) fetch(ctx context.Context) (settingsdb.Settings, int64, error) {
	var raw json.RawMessage
	header, err := f.callFor(ctx, "GET", "/v3/get_settings/", nil, &raw, nil)
	if err != nil {
		return settingsdb.Settings{}, 0, explainFellow(f.base, err)
	}
	number, err := strconv.ParseInt(strings.Trim(header.Get("ETag"), `"`), 10, 64)
	if err != nil {
		return settingsdb.Settings{}, 0, fmt.Errorf("%s is no vdi-gateway: it answers without a revision", f.base)
	}
	s, problems := settingsdb.Revise(settingsdb.Default(), raw)
	if len(problems) > 0 {
		return s, 0, fmt.Errorf("the settings of %s are not understood here, are both of the same version? %w", f.base, problems)
	}
	return s, number, nil
}

func explainFellow(base string, err error) error {
	switch {
	case isStatus(err, http.StatusUnauthorized), isStatus(err, http.StatusForbidden):
		return fmt.Errorf("%s does not know this key: --api-key must be the cluster's api_key", base)
	case isStatus(err, http.StatusNotFound):
		return fmt.Errorf("%s is no vdi-gateway of this version", base)
	}
	var failed *apiError
	var there unwelcome
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(err, &failed):
		return fmt.Errorf("%s: %w", base, err)
	case errors.As(err, &unverified):
		return fmt.Errorf("nothing vouches for the certificate that %s shows (%w). Compare its SHA-256 with vdi-gateway cert show there; if they are the same, say: --fingerprint %s",
			strings.TrimPrefix(base, "https://"), unverified.Err, certificate.Fingerprint(unverified.UnverifiedCertificates[0].Raw))
	case errors.As(err, &there):
		return err // it says who answers
	}
	return fmt.Errorf("%s cannot be reached: is ADDRESS one of the cluster's nodes, and --port its api_port? %w", base, err)
}

// change posts a change of the revision number.
func (f fellow) change(ctx context.Context, keys map[string]any, number int64) error {
	var answer json.RawMessage
	_, err := f.callFor(ctx, "POST", "/v3/change_settings/", keys, &answer, http.Header{"If-Match": {strconv.FormatInt(number, 10)}})
	return err
}
