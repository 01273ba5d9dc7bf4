#!/bin/sh
# Checks that Go and a C compiler are there and says how to get what is not.
# Usage: tests/need.sh (from the top of the repository). Exit 0: all there.
set -u

go_minor=26           # the Go release go.mod asks for: 1.$go_minor
go_release=1.26.8     # the release named in the advice below

sudo=
[ "$(id -u)" = 0 ] || sudo='sudo '

missing() {
	printf '\n%s\n' "$1" >&2
	shift
	for line in "$@"; do printf '    %s\n' "$line" >&2; done
	printf '\n' >&2
	exit 1
}

case $(uname -m) in
aarch64) arch=arm64 ;;
*) arch=amd64 ;;
esac

advise_go() {
	missing "$1" \
		"curl -fL https://go.dev/dl/go$go_release.linux-$arch.tar.gz -o /tmp/go.tar.gz" \
		"${sudo}rm -rf /usr/local/go && ${sudo}tar -C /usr/local -xzf /tmp/go.tar.gz" \
		'export PATH=/usr/local/go/bin:$PATH'
}

if ! command -v go >/dev/null 2>&1; then
	[ -x /usr/local/go/bin/go ] && missing \
		'Go is installed in /usr/local/go, but not on the PATH. Put it there:' \
		'export PATH=/usr/local/go/bin:$PATH'
	advise_go "Go 1.$go_minor or newer is needed and was not found. Install it:"
fi

# An older Go that may fetch the right one does so here, once.
found=$(go version 2>/dev/null | sed -n 's/^go version go\([0-9.]*\).*/\1/p')
minor=$(printf '%s' "$found" | cut -d. -f2)
if [ "${minor:-0}" -lt "$go_minor" ]; then
	advise_go "Go 1.$go_minor or newer is needed, found ${found:-$(GOTOOLCHAIN=local go version 2>&1 | tail -n 1)}. Install it:"
fi

cc=$(go env CC)
if ! command -v "${cc%% *}" >/dev/null 2>&1; then
	missing "A C compiler is needed (SQLite is compiled from C) and ${cc%% *} was not found. Install it:" \
		"${sudo}apt-get update && ${sudo}apt-get install gcc libc6-dev"
fi
if ! printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | $cc -x c -o /dev/null - 2>/dev/null; then
	missing "The C compiler ${cc%% *} is there, but cannot compile a small program: its headers are missing. Install them:" \
		"${sudo}apt-get update && ${sudo}apt-get install gcc libc6-dev"
fi
if [ "$(go env CGO_ENABLED)" = 0 ]; then
	missing 'CGO_ENABLED=0 is set, but SQLite is compiled from C. Allow it:' \
		'unset CGO_ENABLED; go env -u CGO_ENABLED'
fi
