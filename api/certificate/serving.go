package certificate

import (
	"crypto/tls"
	"errors"
	"os"
)

// errOff is what a client meets that speaks TLS to a node which does not.
var errOff = errors.New("TLS is off")

// serving is how connections are answered. Each has ticket keys of its own, those of
// its root: a client that saw the former certificate cannot resume without seeing
// the new one.
type serving struct {
	root    *tls.Config
	public  *tls.Config            // nil: TLS is off for users
	viewers *tls.Config            // the same for those that do not speak HTTP inside
	members map[string]*tls.Config // by server name
	member  *tls.Config            // to reach others; nil: without TLS
	trusted bool                   // the pair is not of this node's own making
}

func newServing(cfg Config, pair *Pair) *serving {
	s := &serving{members: map[string]*tls.Config{}}
	s.root = &tls.Config{GetConfigForClient: s.choose, MinVersion: tls.VersionTLS12}
	for _, secret := range cfg.Secrets {
		key := memberKey(secret)
		s.members[memberName(key)] = memberServer(key)
	}
	if cfg.Enabled && len(cfg.Secrets) > 0 {
		s.member = Member(cfg.Secrets[0])
	}
	if pair != nil {
		s.public, s.trusted = public(cfg, pair), !pair.SelfSigned
		s.viewers = s.public.Clone()
		s.viewers.NextProtos = nil
	}
	return s
}

func public(cfg Config, pair *Pair) *tls.Config {
	c := &tls.Config{
		Certificates: []tls.Certificate{pair.Certificate}, CipherSuites: cfg.Suites,
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}
	if cfg.NoTLS12 {
		c.MinVersion = tls.VersionTLS13
	}
	if cfg.NoTLS13 {
		c.MaxVersion = tls.VersionTLS12
	}
	return c
}

// choose is how a client is answered.
func (s *serving) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if c := s.members[hello.ServerName]; c != nil {
		return c, nil
	}
	if s.public == nil {
		return nil, errOff
	}
	return s.public, nil
}

// exists tells whether there is something at path that could be read, or should
// be able to be.
func exists(path string) bool {
	if path == "" {
		return false
	}
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}
