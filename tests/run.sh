#!/bin/sh
# Runs go test and prints a line per package, what failed in full, what was
# skipped with its reason, and the sum. Usage: tests/run.sh ARGUMENTS OF GO TEST
set -u
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin # nft and ip are there, not on everybody's path
export PATH

summary=$(mktemp)
trap 'rm -f "$summary"' EXIT
go build -o "$summary" ./tests/summary || exit 1
# A pipe tells the exit status of its last command only, so the first one's
# goes through it as the last line.
{ go test -json "$@" && echo 'exit 0' || echo 'exit 1'; } | "$summary"
