#!/bin/sh
# Runs every fuzz target of the module, one after the other.
# Usage: tests/fuzz.sh [TIME]      each for TIME (Go's duration, default 10s)
#        tests/fuzz.sh --list      only print "folder target" lines
set -eu
cd "$(dirname "$0")/.."

targets() {
	find . -name '*_test.go' -not -path './tests/tools/*' -not -path '*/testdata/*' \
		-exec grep -Ho '^func Fuzz[A-Za-z0-9_]*(' {} + |
		sed 's|/[^/]*:func \(.*\)($| \1|' | sort
}

if [ "${1:-}" = --list ]; then
	targets
	exit 0
fi

time=${1:-10s}
failed=0
count=0
list=$(mktemp)
trap 'rm -f "$list"' EXIT
targets >"$list"
while read -r folder target; do
	printf '== %s %s for %s\n' "$folder" "$target" "$time"
	count=$((count + 1))
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$folder" </dev/null || failed=$((failed + 1))
done <"$list"

[ "$failed" = 0 ] || { printf '%s of %s fuzz targets failed; the input is in testdata/fuzz: make it a named case\n' "$failed" "$count"; exit 1; }
printf 'all %s fuzz targets passed\n' "$count"
