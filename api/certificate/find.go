package certificate

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Find is the pair that a node with this config has, of the files as they are. It
// changes nothing.
func Find(cfg Config, deps Deps) (*Pair, error) {
	if certFile, keyFile := deps.files(cfg); certFile != "" {
		p, err := Load(certFile, keyFile)
		if cfg.Issued != "" && errors.Is(err, fs.ErrNotExist) {
			err = errAwaited
		}
		return p, err
	}
	p, err := Load(SelfSigned(deps.Dir))
	if err != nil {
		return nil, fmt.Errorf("a self-signed certificate is made when the node starts with ssl true: %w", err)
	}
	p.SelfSigned = true
	return p, nil
}

// File is where the pair of cfg is from; "": it is self-signed.
func (d Deps) File(cfg Config) string {
	certFile, _ := d.files(cfg)
	return certFile
}

func (d Deps) files(cfg Config) (certFile, keyFile string) {
	switch {
	case cfg.CertFile != "":
		return cfg.CertFile, cfg.KeyFile
	case cfg.Issued != "":
		file := filepath.Join(d.Dir, cfg.Issued)
		return file + ".crt", file + ".key"
	case exists(d.DefaultCert):
		return d.DefaultCert, d.DefaultKey
	}
	return "", ""
}
