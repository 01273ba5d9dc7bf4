#!/bin/sh
# Builds the Debian package. Usage: packaging/build.sh VERSION [ARCHITECTURE]
# The same commit gives the same bytes: times are SOURCE_DATE_EPOCH, by default that of
# the commit. The package is vdi-gateway_VERSION_ARCHITECTURE.deb in DIST, by default
# packaging/dist.
set -eu
cd "$(dirname "$0")"

go=${GO:-go}
version=$1
arch=${2:-$($go env GOARCH)}
# In Debian's order a hyphen parts version and revision; what comes after a tag is newer.
DEB_VERSION=$(printf '%s' "$version" | tr - +)
case $DEB_VERSION in [0-9]*) ;; *) DEB_VERSION=0.0.0+$DEB_VERSION ;; esac
ARCH=$arch

case $arch in
"$($go env GOHOSTARCH)") CC=$($go env CC) ;;
arm64) CC=aarch64-linux-gnu-gcc ;;
amd64) CC=x86_64-linux-gnu-gcc ;;
*)
	echo "packaging/build.sh: architecture $arch is not known" >&2
	exit 1
	;;
esac
command -v "${CC%% *}" >/dev/null || {
	echo "packaging/build.sh: for $arch the compiler ${CC%% *} is needed: apt-get install gcc-${CC%-gcc}" >&2
	exit 1
}

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -r ../CHANGELOG.md +%s)}
DIST=${DIST:-$PWD/dist}
mkdir -p "$DIST"
STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT

# Hardened as Debian's own packages are.
CGO_ENABLED=1 GOARCH=$arch CC=$CC \
	CGO_CFLAGS='-O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2' CGO_LDFLAGS='-Wl,-z,relro -Wl,-z,now' \
	$go build -C .. -trimpath -buildvcs=false -buildmode=pie \
	-ldflags "-s -w -buildid= -X main.version=$version" -o "$STAGE/vdi-gateway" .

gzip -9n <pages/vdi-gateway.8 >"$STAGE/vdi-gateway.8.gz"
gzip -9n <../THIRD-PARTY-NOTICES >"$STAGE/THIRD-PARTY-NOTICES.gz"
./changelog.sh "$DEB_VERSION" "$SOURCE_DATE_EPOCH" <../CHANGELOG.md | gzip -9n >"$STAGE/changelog.gz"

# The oldest C library that has all the program asks for.
LIBC=$(readelf -V "$STAGE/vdi-gateway" | sed -n 's/.*Name: GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1)

export ARCH DEB_VERSION LIBC SOURCE_DATE_EPOCH STAGE
package=$DIST/vdi-gateway_${DEB_VERSION}_$arch.deb
$go tool nfpm package --config nfpm.yaml --packager deb --target "$package" >/dev/null
echo "$package $(sha256sum <"$package" | cut -d' ' -f1)"
