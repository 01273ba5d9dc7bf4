# `make help` lists what there is. Every target carries its help text after ##.

# The version is git's tag; before the first tag the newest one in CHANGELOG.md
# and the commit, without git the former alone.
CHANGELOG_VERSION = $(shell sed -n 's/^\#\# \([0-9][^ ]*\).*/\1/p' CHANGELOG.md | head -n 1)
VERSION ?= $(shell (git describe --tags --dirty 2>/dev/null || echo $(CHANGELOG_VERSION)$$(git describe --always --dirty 2>/dev/null | sed 's/^/+/')) | sed 's/^v//')

GO       ?= go
BINARY   := vdi-gateway
BUILD    := -trimpath -buildvcs=false
FUZZTIME ?= 10s
ARGS     ?=

# The Swagger file is made from the comments in api; the first folder holds the
# file with the general information.
SWAG := $(GO) tool swag init --quiet --dir ./api,./settingsdb --generalInfo api.go --outputTypes json --output ./api/swagger

# What users see is tested with either value of `forwarding`. The second run, with the
# kernel, is in `make e2e`.
OUTSIDE := ./tests/e2e ./tests/cluster
KERNEL := VDI_GATEWAY_FORWARDING=kernel

# The tools of `make lint` have a module of their own, so that what they need
# stays out of go.mod.
TOOLS := tests/tools/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help need build demo test race fuzz lint format bench bench-api bench-relay bench-cluster bench-failover bench-console bench-survive bench-kernel e2e generate package novnc clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

need: ## check that Go and a C compiler are there
	@tests/need.sh

build: need ## build ./vdi-gateway
	@echo "building $(BINARY) (the first time takes a minute or two: SQLite is compiled from C)"
	@$(GO) build $(BUILD) -ldflags '-X main.version=$(VERSION)' -o $(BINARY) .

demo: build ## one node, a sample desktop and a client on this machine, until Ctrl-C (ARGS=--once: one round)
	@./$(BINARY) demo $(ARGS)

test: need ## install what the tests need where possible, then check everything (under 10 minutes)
	@tests/install.sh
	@echo "compiling (the first time takes a minute or two: SQLite is compiled from C)"
	@$(GO) vet -tags e2e ./...
	@tests/run.sh -timeout 8m ./...

race: need ## the tests under the race detector
	@tests/install.sh
	@echo "compiling with the race detector (the first time takes a few minutes)"
	@tests/run.sh -race -timeout 20m ./...

fuzz: need ## every fuzz target for FUZZTIME (10s)
	@tests/fuzz.sh $(FUZZTIME)

lint: need $(TOOLS)/.built ## the linters of .golangci.yml, staticcheck and gofumpt
	@tests/lint.sh $(TOOLS)

format: need $(TOOLS)/.built ## format every Go file
	@$(TOOLS)/gofumpt -w .

bench: bench-api bench-relay bench-cluster bench-failover bench-console bench-survive bench-kernel ## every benchmark

bench-api: build ## the API: opens per second, start-up time, audit rows per second
	@$(GO) run ./tests/bench api

bench-relay: build ## the relay beside HAProxy, nginx and no proxy (root; about 5 minutes)
	@tests/install.sh bench
	@$(GO) run ./tests/bench relay

bench-cluster: build ## three nodes as one gateway beside HAProxy in front of them (root; about 5 minutes)
	@tests/install.sh bench
	@$(GO) run ./tests/bench cluster

bench-failover: build ## how long nobody serves when a node fails, beside Keepalived and HAProxy (root; up to 30 minutes)
	@tests/install.sh bench
	@$(GO) run ./tests/bench failover

bench-console: build ## WebSockets and the console beside websockify, nginx and noVNC (root; about 5 minutes)
	@tests/install.sh bench
	@$(GO) run ./tests/bench console

bench-survive: build ## sessions whose node loses its power, beside HAProxy and Keepalived (root; up to 12 minutes)
	@tests/install.sh bench
	@$(GO) run ./tests/bench survive

bench-kernel: build ## nftables that moves the bytes beside rules by hand, HAProxy and a router (root; up to 12 minutes)
	@tests/install.sh bench
	@$(GO) run ./tests/bench kernel

e2e: need ## the full matrices with real peers (root; longer than `make test`)
	@tests/install.sh
	@tests/run.sh -tags e2e -count=1 -timeout 60m ./...
	@echo "what users see once more, the kernel moving the bytes"
	@$(KERNEL) tests/run.sh -tags e2e -count=1 -timeout 30m $(OUTSIDE)

generate: need ## make the Swagger file, THIRD-PARTY-NOTICES, manual page and completions anew
	@$(SWAG)
	@$(GO) run ./tests/notices
	@$(GO) run . pages packaging/pages

package: need ## build the Debian package into packaging/dist (ARCH=arm64: for that; needs gcc-aarch64-linux-gnu)
	@echo "building the package (the first time takes some minutes: everything is compiled for it)"
	@GO=$(GO) packaging/build.sh $(VERSION) $(ARCH)

novnc: ## make api/console/novnc anew from npm (ARGS=check: compare only)
	@api/console/novnc.sh $(ARGS)

clean: ## remove what the targets above built
	@rm -rf $(BINARY) $(TOOLS) packaging/dist

$(TOOLS)/.built: tests/tools/go.mod tests/tools/go.sum
	@echo "building the linters (the first time takes several minutes)"
	@$(GO) build -C tests/tools -trimpath -buildvcs=false -o bin/ tool
	@touch $@
