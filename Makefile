# Everything a person or a CI machine runs, by name. `make` alone lists it.
# The tools are pinned and installed by the targets that need them (no sudo).

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
PROFILE ?= full
TOOLS := $(CURDIR)/.tools/bin
NODE_BIN := $(CURDIR)/node_modules/.bin

# Equal sources give equal binaries in any folder: no paths, no build id, no
# commit stamp (the gate records the commit itself).
GOBUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -buildid='

# Packages whose correctness depends on goroutine order; `make check` runs them
# under the race detector.
RACE := ./engine/...

say = @printf '\n\033[1m== %s\033[0m\n' '$(1)'

##@ Start here

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z.]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: tools
tools: ## install the pinned tools into the user cache, link them into .tools/
	@$(GO) run ./tools/setup

.PHONY: build
build: web ## build bin/mbp and bin/prega (same sources, same bytes)
	$(call say,build: bin/mbp bin/prega)
	@mkdir -p bin
	@$(GOBUILD) -o bin/ ./cmd/mbp ./cmd/prega
	@ls -l bin

.PHONY: web
web: tools
	$(call say,build: panel into fe/web/dist)
	@$(NODE_BIN)/vite build fe/web --logLevel warn

.PHONY: test
test: build ## build everything and run every test (the README's second command)
	$(call say,test: Go)
	@$(GO) test -timeout 15m ./...
	$(call say,test: Node)
	@node --test fe/rum/*.test.js
	@$(NODE_BIN)/vitest run --root fe/web --passWithNoTests
	@$(NODE_BIN)/vitest run --root fe/client
	$(call say,test: Python)
	@cd scripts && ../.tools/py/bin/python -m unittest discover -p '*_test.py'

.PHONY: prega
prega: build ## run the gate: PROFILE=smoke (minutes) or full (an hour, the default)
	@bin/prega run --profile $(PROFILE)

##@ The gate, step by step

.PHONY: env.pin
env.pin: tools ## compare the installed tools with the locks, write the inventory
	@bash scripts/env_pin_check.sh --json out/s4_orr/EVI/env.json

.PHONY: orr
orr: build ## stages, criteria and verdict into out/s4_orr/EVI
	@bin/prega run --profile $(PROFILE) --until judge

.PHONY: bundle
bundle: build ## pack the evidence of the last run
	@bin/prega pack

.PHONY: anchors
anchors: build ## anchor the last pack (a tag only for an APPROVED full run)
	@bin/prega anchor

.PHONY: dbt.docs
dbt.docs: tools ## build the models of a lake (MBP_LAKE, default mbp-data/lake) and their documentation
	@cd data/analytics/dbt && mkdir -p target && export MBP_LAKE="$${MBP_LAKE:-$(CURDIR)/mbp-data/lake}" && \
	  $(TOOLS)/dbt build --profiles-dir profiles && \
	  $(TOOLS)/dbt docs generate --profiles-dir profiles --static --no-compile

.PHONY: micro
micro: ## benchmarks of the decision path against their limits (tests/perf/micro/limits.csv)
	@$(GO) run ./tests/perf/micro

.PHONY: bench.restart
bench.restart: ## a start from ten million decisions, with a snapshot and without: minutes, and 4 GB of disk
	@$(GO) run ./tests/perf/restart $(RESTART)

.PHONY: bench.limits
bench.limits: ## the durable path against the bare disk and a bare HTTP handler (tests/perf/limits/limits.csv)
	@$(GO) run ./tests/perf/limits

.PHONY: bench.edge
bench.edge: ## the HTTP edge under stress, real servers against tests/perf/edge/limits.csv (EDGE='overload --time 30s')
	@$(GO) run ./tests/perf/edge $(EDGE)

# What is made up comes from a pinned seed; the reports are in out/contract.
CONTRACT_TIME ?= 90s
.PHONY: schemathesis
schemathesis: tools ## hold a running server against its OpenAPI document (CONTRACT_TIME=90s)
	$(call say,check: schemathesis for $(CONTRACT_TIME))
	@$(GO) run ./tests/contract -time $(CONTRACT_TIME)

##@ While working

.PHONY: check
check: tools lint race rules types ## what CI asks before a merge: format, lint, races, rules, types

.PHONY: lint
lint:
	$(call say,check: gofmt and go vet)
	@bad=$$(git ls-files -z '*.go' | xargs -0 gofmt -l); [ -z "$$bad" ] || { echo "gofmt (make fmt): $$bad"; exit 1; }
	@$(GO) vet ./...
	$(call say,check: golangci-lint)
	@$(TOOLS)/golangci-lint run ./...
	@[ ! -d .github/workflows ] || $(TOOLS)/actionlint

.PHONY: race
race:
	$(call say,check: race detector on $(RACE))
	@CGO_ENABLED=1 $(GO) test -race -short -timeout 15m $(RACE)

# Arbitrary commands against every invariant, beyond the corpus that each test
# run plays.
FUZZTIME ?= 2m
.PHONY: fuzz
fuzz: ## fuzz the decision core with arbitrary commands (FUZZTIME=2m)
	$(call say,check: fuzzing command sequences for $(FUZZTIME))
	@$(GO) test -run '^$$' -fuzz FuzzCommands -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./engine/core

# One seed is one run of a whole node; a broken one prints the command that plays
# it again. `make test` plays the first 200 of each kind.
SEEDS ?= 10000
.PHONY: sim
sim: ## simulate whole nodes, on a bad disk and on a leased log, and crashes of the journal (SEEDS=10000 of each)
	$(call say,check: $(SEEDS) crash points of each kind of journal)
	@$(GO) test -count=1 -timeout 60m -v -run 'TestCrashAtEveryOperation$$' ./engine/journal/file -crashes $(SEEDS)
	$(call say,check: $(SEEDS) seeds of each kind of world)
	@$(GO) test -count=1 -timeout 60m -v -run 'TestSeeds(FromSnapshots)?$$' ./engine/sequencer/nodetest -seeds $(SEEDS)

# `make test` kills the writer 50 times and the platform six times.
KILLS ?= 200
.PHONY: kills
kills: ## kill the writer, and mbp serve over HTTP, under load; judge what was answered (KILLS=200)
	$(call say,check: $(KILLS) kills of the writer and of mbp serve)
	@$(GO) test -count=1 -timeout 60m -v -run 'TestKilledWriterLosesNothing$$' ./engine/sequencer -kills $(KILLS)
	@$(GO) test -count=1 -timeout 60m -v -run 'TestKilledPlatform$$' ./tests/linear -kills $(KILLS)

# `make test` makes one fault of each kind.
FAULTS ?= 50
.PHONY: ha
ha: tools ## kill, stop and fence the engine, lose the database under load; judge what was answered (FAULTS=50)
	$(call say,check: $(FAULTS) faults of two mbp serve on a replicated PostgreSQL)
	@$(GO) test -count=1 -timeout 60m -v -run 'TestTakeovers$$' ./tests/ha -faults $(FAULTS) -lease 3s

.PHONY: bench.pg
bench.pg: tools ## the writer on the journal in PostgreSQL against a bare loop of INSERTs, in one run
	@$(GO) run ./tests/perf/pgjournal

.PHONY: rules
rules:
	$(call say,check: Prometheus rules)
	@$(TOOLS)/promtool check config --lint=all ops/prom/prometheus.yml
	@$(TOOLS)/promtool check rules --lint=all ops/prom/rules_*.yaml ops/prom/*.rules.yaml
	@$(TOOLS)/promtool test rules ops/prom/tests/*.yaml

.PHONY: types
types:
	$(call say,check: TypeScript)
	@$(NODE_BIN)/tsc --noEmit -p fe/web
	@$(NODE_BIN)/tsc --noEmit -p fe/client

.PHONY: check.long
check.long: check schemathesis ## the long suites too: races everywhere, simulations, kills, broken clones
	$(call say,check: long suites)
	@MBP_LONG=1 CGO_ENABLED=1 $(GO) test -race -timeout 60m $$($(GO) list ./... | grep -v '/tests/faults$$')
	@$(MAKE) sim kills ha
	@$(MAKE) faults

# The gate measures time, so nothing runs beside it.
.PHONY: faults
faults: tools ## break one thing at a time; the gate must fail and name it (15 minutes)
	$(call say,check: the gate against broken clones)
	@MBP_LONG=1 $(GO) test -count=1 -timeout 100m -v ./tests/faults

.PHONY: fmt
fmt: ## format the Go sources
	@git ls-files -z '*.go' | xargs -0 gofmt -w

.PHONY: locks
locks: ## remake the Python and Node locks from what people edit (needs uv)
	@for in in requirements.in tools/py/*.in; do echo "$$in"; \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --only-binary :all: --override tools/py/overrides.txt -o "$${in%.in}.lock" "$$in"; done
	@npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved=false

.PHONY: clean
clean: ## remove build output and evidence; the tool cache stays
	@rm -rf bin out
	@find fe/web/dist -mindepth 1 ! -name .keep -delete 2>/dev/null || true
