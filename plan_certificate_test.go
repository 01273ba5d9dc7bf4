package main

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/api/certificate"
	"vdi-gateway/settingsdb"
)

func TestPlanCertificate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*settingsdb.Settings)
		want   func(*certificate.Config)
	}{
		{"without TLS nodes still know each other", func(*settingsdb.Settings) {}, func(*certificate.Config) {}},
		{
			"every key",
			func(s *settingsdb.Settings) {
				s.SSL = true
				s.TLS = settingsdb.TLS{CertFile: "/c", KeyFile: "/k", HonorCipherOrder: true, DisableTLS12: true, Ciphers: "ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256"}
			},
			func(c *certificate.Config) {
				c.Enabled, c.CertFile, c.KeyFile, c.NoTLS12 = true, "/c", "/k", true
				c.Suites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
			},
		},
		{"the other version", func(s *settingsdb.Settings) { s.TLS.DisableTLS13 = true }, func(c *certificate.Config) { c.NoTLS13 = true }},
		{
			"whatever clients and nodes may call the gateway, once, without zones and wildcards",
			func(s *settingsdb.Settings) {
				s.PublicAddr, s.VirtualAddr, s.ListenIP = "desk.example.com", "::ffff:10.0.0.100", "fe80::1%eth0"
				s.Nodes = map[string]settingsdb.NodeSettings{"10.0.0.1": {ListenIP: "::"}, "10.0.0.2": {ListenIP: "10.0.0.2"}}
			},
			func(c *certificate.Config) {
				c.Names = []string{"10.0.0.1", "10.0.0.100", "10.0.0.2", "desk.example.com", "fe80::1"}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := planSettings()
			want := certificate.Config{Names: []string{"10.0.0.1", "10.0.0.2"}, Secrets: []string{"key-of-nodes", "former"}}
			tt.change(&s)
			tt.want(&want)
			if diff := cmp.Diff(want, planCertificate(s, "former", "key-of-nodes")); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// A certificate that root renews is the node's, which runs as a user of its own.
func TestWhatRootMakesIsGiven(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const somebody = 54321
	folder := t.TempDir()
	if err := os.Chown(folder, somebody, somebody); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(folder, "tls")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "key"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := giveFolder(dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "key")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != somebody {
			t.Errorf("%s belongs to %d, want %d", path, uid, somebody)
		}
	}
}
