package peer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"vdi-gateway/tests/lab"
)

// behindNginx is where websockify listens that nginx is in front of.
const behindNginx = "127.0.0.1:6080"

// noVNC is where Debian keeps its pages.
const noVNC = "/usr/share/novnc"

// Websockify carries the stream of a TCP connection over WebSockets, a process
// for each.
func Websockify() Kind {
	return Kind{"websockify", func(host *lab.Host, listen, target netip.AddrPort, _ string) (process, error) {
		return start(host, "websockify", listen.String(), target.String())
	}}
}

// WebsockifyPage is Websockify that serves noVNC's pages as well.
func WebsockifyPage() Kind {
	return Kind{"websockify", func(host *lab.Host, listen, target netip.AddrPort, _ string) (process, error) {
		if _, err := os.Stat(filepath.Join(noVNC, "vnc.html")); err != nil {
			return nil, errors.New("noVNC is not installed (tests/install.sh bench installs it)")
		}
		return start(host, "websockify", "--web", noVNC, listen.String(), target.String())
	}}
}

// NginxTLS is nginx that terminates TLS in front of websockify, on the same host
// and with a worker per processor. Its buffer is as large as websockify's frames;
// with its own default it carries less.
func NginxTLS() Kind {
	return Kind{"nginx", func(host *lab.Host, listen, target netip.AddrPort, dir string) (process, error) {
		if err := certificate(dir); err != nil {
			return nil, err
		}
		path := filepath.Join(dir, "nginx.conf")
		text := fmt.Sprintf(`daemon off;
user root;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections %[2]d; }
http {
	access_log off;
	server {
		listen %[3]s ssl;
		ssl_certificate %[1]s/cert.pem;
		ssl_certificate_key %[1]s/key.pem;
		ssl_protocols TLSv1.3;
		location / {
			proxy_pass http://%[4]s;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection upgrade;
			proxy_buffer_size 64k;
			proxy_buffers 8 64k;
			proxy_read_timeout 1h;
			proxy_send_timeout 1h;
		}
	}
}
`, dir, 2*connectionsMax, listen, behindNginx)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return startBoth(host, []string{"websockify", behindNginx, target.String()}, []string{"nginx", "-p", dir, "-c", path})
	}}
}

// certificate makes a certificate and its key, once.
func certificate(dir string) error {
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := os.Stat(cert); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", //nolint:gosec // paths of ours
		"-nodes", "-days", "2", "-subj", "/CN=bench", "-keyout", key, "-out", cert).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a certificate: %w: %s", err, out)
	}
	return nil
}

// both is a program and the one that it needs behind it.
type both struct {
	process
	behind process
}

func startBoth(host *lab.Host, behind, front []string) (process, error) {
	b, err := start(host, behind[0], behind[1:]...)
	if err != nil {
		return nil, err
	}
	if err := listens(host, netip.MustParseAddrPort(behind[1]), b.PID()); err != nil {
		_ = b.Stop() // it never worked
		return nil, fmt.Errorf("%w %s", err, b.Output())
	}
	f, err := start(host, front[0], front[1:]...)
	if err != nil {
		_ = b.Stop() // alone it is of no use
		return nil, err
	}
	return both{f, b}, nil
}

// Output is what both printed.
func (b both) Output() string { return b.process.Output() + b.behind.Output() }

// Stop ends both.
func (b both) Stop() error { return errors.Join(b.process.Stop(), b.behind.Stop()) }

// WebsockifyVersion is that of Debian's package, with noVNC's: websockify cannot
// tell its own.
func WebsockifyVersion() string {
	list := []string{}
	for _, name := range []string{"websockify", "novnc"} {
		ctx, cancel := context.WithTimeout(context.Background(), startTime)
		out, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${Version}", name).Output() //nolint:gosec // two names
		cancel()
		if err != nil {
			out = []byte("?")
		}
		list = append(list, name+" "+strings.TrimSpace(string(out)))
	}
	return strings.Join(list, ", ")
}
