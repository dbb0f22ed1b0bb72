# Every target that a person or the CI needs. `make help` lists them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

GO    ?= go
COUNT ?= 6
BENCH ?= .
DEMO_ARGS ?=

# A checkout that belongs to another user has no version to stamp; that must not
# stop a build.
export GOFLAGS := $(GOFLAGS) -buildvcs=$(shell git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false)

MODULE := meridian

# Packages without goroutines, or that only drive other processes. The race
# detector finds nothing there and makes their long property tests several times
# slower. All others run under it.
SEQUENTIAL := internal/(acceptance|archtest|chaos|canon|feed|invariant|journal|money|rating|sim|tariff|testrun|verify)|edge/(balance|command|fsm|session)
SEQUENTIAL_PATTERN := ^$(MODULE)/($(SEQUENTIAL))(/|$$)

# Packages that build the product by themselves: the test cache does not see what it
# was built from, so they always run.
BUILDERS_PATTERN := ^$(MODULE)/internal/(acceptance|chaos|sim/mutation)$$

GO_DIRS := $(wildcard cmd central edge replication radius proto ops internal)

.PHONY: help setup build demo test test-cockroach bench sim soak chaos lint fmt proto clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing on this machine (root or sudo for that step only)
	@ops/setup.sh

build: ## build bin/meridian
	@mkdir -p bin
	$(GO) build -o bin/meridian ./cmd/meridian

demo: setup build ## run the whole system on this machine (DEMO_ARGS="--once --report FILE")
	bin/meridian demo $(DEMO_ARGS)

test: setup ## run every test; CI=true makes a skipped test a failure
	$(GO) vet ./...
	@all=$$($(GO) list ./...); \
	plain=$$(grep -E '$(SEQUENTIAL_PATTERN)' <<<"$$all" | grep -vE '$(BUILDERS_PATTERN)'); \
	builders=$$(grep -E '$(BUILDERS_PATTERN)' <<<"$$all"); \
	race=$$(grep -vE '$(SEQUENTIAL_PATTERN)' <<<"$$all" || true); \
	$(GO) build -o bin/testrun ./internal/testrun; \
	exec bin/testrun -required internal/testrun/required.txt \
		-- -timeout 10m $$plain \
		-- -count=1 -timeout 10m $$builders \
		-- -race -timeout 10m $$race

test-cockroach: ## run the central suite and the demo on the CockroachDB that COCKROACH_BINARY names
	@GO="$(GO)" ops/test-cockroach.sh

bench: setup build ## run every benchmark, ready for benchstat (COUNT=6 BENCH=regexp; with BENCH=. also whole processes)
	@packages=$$(grep -rl --include='*_test.go' -E '^func Benchmark' $(GO_DIRS) | xargs -r -n1 dirname | sort -u | sed 's|^|./|'); \
	if [[ -z "$$packages" ]]; then echo "bench: no package has a benchmark"; exit 0; fi; \
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) -timeout 60m $$packages; \
	if [[ '$(BENCH)' == . ]]; then \
		for name in rate radius centre region; do bin/meridian bench $$name --benchstat --runs $$(( $(COUNT) < 3 ? 3 : $(COUNT) )); done; \
	fi

lint: ## check formatting, vet, layering and style
	@bad=$$(gofmt -l $(GO_DIRS)); if [[ -n "$$bad" ]]; then echo "not formatted, run make fmt:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) test ./internal/archtest
	@if command -v golangci-lint >/dev/null 2>&1; then golangci-lint run ./...; \
	else echo "lint: golangci-lint is not installed; its checks were left out"; fi

fmt: ## format all Go files
	gofmt -w $(GO_DIRS)

proto: ## generate Go code from the .proto files
	proto/generate.sh

SEED  ?= 1
SEEDS ?= 2000

sim: ## replay one simulated run (SEED=n)
	$(GO) test ./internal/sim -count=1 -v -run '^TestSeed$$' -seed $(SEED)

soak: ## many simulated runs, and for each mutation of the rules the first seed that finds it (SEEDS=2000)
	$(GO) test ./internal/sim -count=1 -v -timeout 60m -run '^TestSeeds$$' -seeds $(SEEDS)
	$(GO) test ./internal/sim/mutation -count=1 -v -timeout 60m -search 500

MINUTES ?= 5
chaos: SEED := $(if $(filter command environment,$(firstword $(origin SEED))),$(SEED),0)
chaos: setup ## break real processes for MINUTES=5, then count (SEED=n replays a run; root)
	$(GO) test ./internal/chaos -count=1 -v -timeout $$(( $(MINUTES) * 2 + 20 ))m -run '^TestChaos$$' -seed $(SEED) -minutes $(MINUTES)

clean: ## remove what was built
	rm -rf bin
	find . -type f \( -name '*.test' -o -name '*.prof' \) -not -path './.git/*' -delete
