#!/bin/sh
# Makes what api/console/novnc has of noVNC anew, as npm gives the version that
# package-lock.json names, whose digest npm checks.
# Usage: api/console/novnc.sh [check]. With check nothing is changed: what
# differs is printed, and the exit status is 1 if anything does.
set -eu
cd "$(dirname "$0")/novnc"

command -v npm >/dev/null 2>&1 || {
	echo 'npm is needed and was not found. Install it: apt-get install npm' >&2
	exit 1
}

# What is taken: the library, what it includes, and the licences of both.
parts='core vendor AUTHORS LICENSE.txt docs/LICENSE.MPL-2.0'

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cp package.json package-lock.json "$fresh"
npm --prefix "$fresh" ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
from=$fresh/node_modules/@novnc/novnc

if [ "${1:-}" = check ]; then
	differs=0
	for part in $parts; do
		diff -r "$from/$part" "$part" || differs=1
	done
	[ "$differs" = 0 ] || { echo 'api/console/novnc is not what npm gives: run make novnc'; exit 1; }
	echo 'api/console/novnc is what npm gives'
	exit 0
fi

for part in $parts; do
	rm -rf "$part"
	mkdir -p "$(dirname "$part")"
	cp -R "$from/$part" "$part"
done
find $parts -type f -exec chmod 644 {} +
