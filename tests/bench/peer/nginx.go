package peer

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"vdi-gateway/tests/lab"
)

// streamModule is nginx's TCP relay where it is a module to be loaded.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// Nginx relays with its stream module, a worker per processor.
func Nginx() Kind { return Kind{"nginx", runNginx} }

func runNginx(host *lab.Host, listen, target netip.AddrPort, dir string) (process, error) {
	if _, err := os.Stat(streamModule); err != nil {
		return nil, errors.New("nginx has no stream module here (Debian: libnginx-mod-stream)")
	}
	path := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`load_module %s;
daemon off;
user root;
worker_processes auto;
pid %s/nginx.pid;
error_log %s/error.log;
events { worker_connections %d; }
stream {
	server {
		listen %s;
		proxy_pass %s;
		proxy_timeout 1h;
	}
}
`, streamModule, dir, dir, 2*connectionsMax, listen, target)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return start(host, "nginx", "-p", dir, "-c", path)
}

// NginxVersion is such as "nginx 1.22.1"; it says so when there is none.
func NginxVersion() string {
	_, number, ok := strings.Cut(version("nginx", "-v"), "nginx/")
	if !ok {
		return "no nginx"
	}
	return "nginx " + number
}
