package gateway

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	recordVersion = 2
	recordMax     = 32 << 10 // bytes of a Value: a VM's authority may be in it
	// recordAddrs is how many addresses of a VM the others are told.
	recordAddrs = 8
	// recordMargin is how much longer than its grant a record lives. So long
	// the others need not hear of a session that goes on.
	recordMargin = time.Minute
)

// sharedGrant is the Value of a Record. Every node holds one of every session, hence the
// short names. The times are durations in ns.
type sharedGrant struct {
	Version  int              `json:"v"`
	Owner    netip.Addr       `json:"o"`
	Client   netip.Addr       `json:"c"`
	Port     uint16           `json:"p,omitempty"`
	Mode     Mode             `json:"m"`
	Token    []byte           `json:"t"` // its hash
	Attached bool             `json:"ta,omitempty"`
	Host     string           `json:"h"`
	VMPort   uint16           `json:"hp"`
	VMAddrs  []netip.Addr     `json:"a"`
	User     string           `json:"u,omitempty"`
	Verified bool             `json:"uv,omitempty"`
	VMID     string           `json:"i,omitempty"`
	Protocol Protocol         `json:"k"`
	TTL      time.Duration    `json:"l"`
	Limit    int              `json:"n"`
	Steered  bool             `json:"s,omitempty"`
	Timeouts [7]time.Duration `json:"w"` // in the order of Timeouts
	OpenedAt time.Time        `json:"at"`
	Desktop  Desktop          `json:"d,omitzero"` // nodes seal what they tell each other
	Password Secret           `json:"pw,omitempty"`
	Spent    bool             `json:"ps,omitempty"`
	Bound    bool             `json:"b,omitempty"`
	Busy     bool             `json:"z,omitempty"`
	Resumes  [][]byte         `json:"r,omitempty"` // hashes
	Until    time.Time        `json:"x,omitzero"`
}

func (t Timeouts) shared() [7]time.Duration {
	return [7]time.Duration{t.Grant, t.Dial, t.Idle, t.HalfClose, t.Keepalive, t.UserTimeout, t.SessionMax}
}

func timeoutsOf(t [7]time.Duration) Timeouts {
	return Timeouts{Grant: t[0], Dial: t[1], Idle: t[2], HalfClose: t[3], Keepalive: t[4], UserTimeout: t[5], SessionMax: t[6]}
}

// told are the addresses of a VM that the others are told.
func (t target) told() (list []netip.Addr) {
	for _, a := range t.addrs[:min(len(t.addrs), recordAddrs)] {
		list = append(list, a.Addr())
	}
	return list
}

func (s *sharedGrant) target() target {
	t := target{host: s.Host, port: s.VMPort}
	for _, a := range s.VMAddrs {
		t.addrs = append(t.addrs, netip.AddrPortFrom(a, s.VMPort))
	}
	return t
}

// record is what the others are told of a grant. The caller holds the lock.
func (gr *grant) record(now time.Time) Record {
	value, err := json.Marshal(sharedGrant{ //nolint:gosec // the passwords in it: nodes seal what they tell each other
		Version: recordVersion, Owner: gr.node, Client: gr.client, Port: gr.port, Mode: gr.mode,
		Token: gr.token[:], Attached: gr.attached, Host: gr.target.host, VMPort: gr.target.port,
		VMAddrs: gr.target.told(), User: gr.user, Verified: gr.verified,
		VMID: gr.vmID, Protocol: gr.protocol, TTL: gr.ttl, Limit: gr.limit, Steered: gr.steered, Timeouts: gr.timeouts.shared(), OpenedAt: gr.openedAt,
		Desktop: gr.desktop, Password: gr.passcode.password, Spent: gr.passcode.spent, Bound: gr.bound,
		Busy: len(gr.channels) > 0, Resumes: gr.resumeHashes(), Until: gr.until,
	})
	if err != nil {
		panic(err) // there is nothing in it that has no form in JSON
	}
	r := Record{ID: gr.id, Value: value, Lasting: gr.steered}
	if expires := gr.expiry(now); !expires.IsZero() {
		r.Expires = expires.Add(recordMargin)
	}
	return r
}

// grant is what a record of another node describes. A record that is none is an
// error, whoever sent it.
func (r Record) grant() (*grant, error) {
	var s sharedGrant
	if len(r.Value) > recordMax {
		return nil, fmt.Errorf("the record of a connection has %d bytes, at most %d make sense", len(r.Value), recordMax)
	}
	if err := json.Unmarshal(r.Value, &s); err != nil { // a later version may say more
		return nil, fmt.Errorf("the record of a connection is not understood: %w", err)
	}
	if err := s.check(r.ID); err != nil {
		return nil, err
	}
	gr := &grant{
		id: r.ID, client: s.Client, target: s.target(), user: s.User,
		verified: s.Verified, vmID: s.VMID, protocol: s.Protocol, mode: s.Mode, node: s.Owner, openedAt: s.OpenedAt,
		timeouts: timeoutsOf(s.Timeouts), port: s.Port, attached: s.Attached, ttl: s.TTL, limit: s.Limit, steered: s.Steered, expires: r.Expires,
		value: r.Value, desktop: s.Desktop, passcode: passcode{password: s.Password, spent: s.Spent}, bound: s.Bound,
		busy: s.Busy, until: s.Until,
	}
	copy(gr.token[:], s.Token)
	for i, h := range s.Resumes {
		copy(gr.resumes[i][:], h)
	}
	gr.key = reopenKey{s.Client, s.Host, s.VMPort, s.User, s.Mode}
	return gr, nil
}

// resumeHashes are those by which the grant's page comes back.
func (gr *grant) resumeHashes() (hashes [][]byte) {
	for _, h := range gr.resumes {
		if h != [sha256.Size]byte{} {
			hashes = append(hashes, h[:])
		}
	}
	return hashes
}

// check tells what is wrong with the record of connection id.
func (s *sharedGrant) check(id ConnectionID) error {
	plainAddr := func(a netip.Addr) bool { return a.IsValid() && a == plain(a) }
	switch {
	case s.Version != recordVersion:
		return fmt.Errorf("the record of a connection has version %d, this node understands %d", s.Version, recordVersion)
	case id == "" || len(s.Token) != 32 || len(s.VMAddrs) == 0 || len(s.VMAddrs) > recordAddrs:
		return errors.New("the record of a connection lacks what it needs")
	case !plainAddr(s.Owner) || !plainAddr(s.Client):
		return errors.New("the record of a connection has no owner or no client")
	case s.Mode != ModePort && s.Mode != ModeWebSocket, (s.Mode == ModePort) != (s.Port > 0):
		return fmt.Errorf("the record of a connection has mode %q and port %d", s.Mode, s.Port)
	case len(s.Resumes) > 2 || slices.ContainsFunc(s.Resumes, func(h []byte) bool { return len(h) != sha256.Size }):
		return errors.New("the record of a connection has other ways to resume it than two tokens")
	case s.Limit < 1 || s.TTL < 0:
		return errors.New("the record of a connection has limits that make no sense")
	}
	return nil
}
