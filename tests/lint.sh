#!/bin/sh
# Runs the linters on the module. Usage: tests/lint.sh FOLDER_OF_THE_TOOLS
set -eu
cd "$(dirname "$0")/.."
tools=$1
failed=0

echo 'gofumpt'
unformatted=$("$tools/gofumpt" -l .)
if [ -n "$unformatted" ]; then
	printf '%s\nnot formatted: run make format\n' "$unformatted"
	failed=1
fi

echo 'staticcheck'
"$tools/staticcheck" -tags e2e ./... || failed=1

echo 'golangci-lint'
"$tools/golangci-lint" run --build-tags e2e ./... || failed=1

[ "$failed" = 0 ] || { echo 'lint found something'; exit 1; }
echo 'lint found nothing'
