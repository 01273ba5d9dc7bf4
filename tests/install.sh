#!/bin/sh
# Installs the Debian packages that tests use beside Go: real peers (VNC servers, viewers,
# a browser, a balancer, another VRRP, an authority for certificates, the sqlite3 command)
# what makes network namespaces and looks into packets, and what the package is built for
# and tried on.
# Usage: tests/install.sh [bench]. With bench: those that benchmarks compare
# with as well; their services are switched off again, benchmarks run their own.
#
# Only what is missing is installed, and only where that is possible without a
# question: apt-get and root or sudo without password. Otherwise one line names
# what is missing; the tests that need it are skipped, each with its reason.
# It never fails.
set -u
PATH=$PATH:/usr/sbin:/sbin

# command or folder    package
needs='
Xtigervnc              tigervnc-standalone-server
gvnccapture            gvncviewer
xtigervncviewer        tigervnc-viewer
sqlite3                sqlite3
ip                     iproute2
nft                    nftables
conntrack              conntrack
curl                   curl
Xvfb                   xvfb
xwininfo               x11-utils
xsetroot               x11-xserver-utils
xclip                  xclip
python3                python3
chromium               chromium
haproxy                haproxy
keepalived             keepalived
qemu-system-x86_64     qemu-system-x86
tshark                 tshark
openssl                openssl
sslscan                sslscan
pebble                 pebble
websockify             websockify
/usr/share/novnc       novnc
zsh                    zsh
systemd-analyze        systemd
systemd-nspawn         systemd-container
mmdebstrap             mmdebstrap
lintian                lintian
'
peers='
nginx                  nginx-light libnginx-mod-stream
'
[ "${1:-}" != bench ] || needs=$needs$peers

missing_packages() {
	printf '%s' "$needs" | while read -r command package; do
		case $command in
		'') ;;
		/*) [ -d "$command" ] || printf '%s ' "$package" ;;
		*) command -v "$command" >/dev/null 2>&1 || printf '%s ' "$package" ;;
		esac
	done
}

packages=$(missing_packages)
[ -n "$packages" ] || exit 0

skipped() {
	printf 'tests that need %s are skipped: %s\n' "$(missing_packages | sed 's/ $//')" "$1"
	exit 0
}

command -v apt-get >/dev/null 2>&1 || skipped 'install them with the package manager of this system'
as_root=
if [ "$(id -u)" != 0 ]; then
	sudo -n true 2>/dev/null || skipped "to have them: sudo apt-get install $packages"
	as_root='sudo -n'
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 </dev/null
}

printf 'installing for the tests: %s\n' "${packages% }"
apt update || printf 'apt-get update: %s\n' "$(tail -n 1 "$log")"
# shellcheck disable=SC2086 # a list of names
apt install -y --no-install-recommends $packages ||
	skipped "apt-get install: $(tail -n 1 "$log")"
printf 'installed\n'

# A package starts its service, which nobody asked for here.
command -v systemctl >/dev/null 2>&1 || exit 0
for service in haproxy keepalived nginx; do
	case $packages in
	*$service*) $as_root systemctl --quiet disable --now $service >/dev/null 2>&1 ;;
	esac
done
exit 0
