# The targets that CI calls. They need only Go and make; everything else comes from
# the Go module proxy.

GO          ?= go
MODULE      := github.com/seed-175555ba/tus-go
MODULES     := . examples examples/fleet integration storage/natsstore storage/pgstore
# Package tus takes longest, and starts first.
PACKAGES    := ./tus ./... ./examples/... ./examples/fleet/... ./integration/... ./storage/natsstore/... ./storage/pgstore/...
# The path of the module in directory $(1), which is one of MODULES.
PATH_OF      = $(MODULE)$(patsubst /.,,/$(1))
# The version of the root module that the others require: the coming release, or the last.
VERSION     := $(shell awk '$$1 == "$(MODULE)" { print $$2 }' examples/go.mod)
GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.1
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4
FUZZTIME    ?= 60s
# The race detector needs cgo, which Go disables if there is no C compiler.
RACE        := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
KILLS       ?= 1000
BENCH       ?= .
BENCHTIME   ?= 1s
BENCHSTAT   := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
COUNT       ?= 6
PLATFORMS   := darwin/arm64 windows/amd64 freebsd/amd64

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## upload a file to tusd, interrupt the upload, resume it (FILE=path)
	@./examples/demo.sh $(FILE)

.PHONY: demo-fleet
demo-fleet: ## upload 20 files with three workers and three NATS servers, of which some are killed
	@cd examples && $(GO) run ./demo-fleet

.PHONY: test
test: lint race ## run lint and race: what CI runs

.PHONY: race
race: ## run all tests of all modules with the race detector (-short: smaller files)
	@[ -n "$(RACE)" ] || echo "NOTICE: no C compiler: the tests run without the race detector"
	$(GO) test $(RACE) -short -p 3 -timeout 14m $(PACKAGES)

.PHONY: quick
quick: ## run all tests of all modules, without race detector and lint
	$(GO) test -short -timeout 5m $(PACKAGES)

.PHONY: lint
lint: ## run gofmt, go vet for several systems, golangci-lint, actionlint, shape and govulncheck
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "not gofmt'ed:"; echo "$$bad"; exit 1; fi
	@echo "== golangci-lint"
	@# With the flag of race, so that the packages are compiled once for both.
	@GOFLAGS="$$GOFLAGS $(RACE)" $(GO) run -race=false $(GOLANGCI) run --timeout 10m $(PACKAGES)
	@set -e; for p in $(PLATFORMS); do \
		echo "== go vet for $$p"; \
		GOWORK=off GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) vet ./...; \
	done
	@echo "== actionlint"
	@$(GO) run $(ACTIONLINT)
	@bad=$$(grep -n 'uses: ' .github/workflows/*.yml | grep -vE '@[0-9a-f]{40} # v[0-9]'); \
	if [ -n "$$bad" ]; then echo "not pinned by commit:"; echo "$$bad"; exit 1; fi
	@echo "== shape"
	@cd integration && $(GO) run ./shape -check
	@echo "== govulncheck"
	@out=$$($(GO) run $(GOVULNCHECK) ./... 2>&1) || case "$$out" in \
		*"fetching vulnerabilities"*) echo "NOTICE: skipped, the vulnerability database is unreachable" ;; \
		*) echo "$$out"; exit 1 ;; \
	esac

.PHONY: shape
shape: ## print the sizes of types and functions, with the recorded figures and goals
	@cd integration && $(GO) run ./shape

.PHONY: bench
bench: ## compare with curl, tus-js-client and a baseline: table.md and chart.svg (BENCHFLAGS=-quick)
	cd integration && $(GO) run ./bench -o bench/table.md -chart bench/chart.svg $(BENCHFLAGS)

.PHONY: microbench
microbench: ## run go test -bench in all modules (BENCH=regexp, BENCHTIME=duration)
	@set -e; for m in $(MODULES); do \
		(cd $$m && $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...); \
	done

.PHONY: benchstat
benchstat: ## compare the benchmarks of the library with those of a commit (BASE=commit, COUNT=runs)
	@[ -n "$(BASE)" ] || { echo "BASE is the commit to compare with"; exit 2; }
	@set -e; tmp=$$(mktemp -d); trap 'git worktree remove --force "$$tmp/base"; rm -rf "$$tmp"' EXIT; \
	git worktree add --quiet --detach "$$tmp/base" "$(BASE)"; \
	bench() { $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...; }; \
	for i in $$(seq $(COUNT)); do \
		(cd "$$tmp/base" && bench) >>"$$tmp/base.txt"; \
		bench >>"$$tmp/head.txt"; \
	done; \
	(cd "$$tmp" && $(GO) run $(BENCHSTAT) base.txt head.txt)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (default 60s)
	@set -e; for p in $$($(GO) list ./...); do \
		for t in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "== $$t in $$p"; \
			$(GO) test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) $$p; \
		done; \
	done

.PHONY: soak
soak: ## kill uploaders and servers KILLS times of each kind, also behind proxies, 5,000 random fault runs
	TUS_FAULT_RUNS=5000 $(GO) test -count 1 -timeout 60m -v -run 'TestFaultSoak' ./tus
	cd integration && TUS_SOAK=$(KILLS) $(GO) test -count 1 -timeout 120m -v -run TestUpload_SurvivesKills ./soak
	cd integration && $(GO) test -count 1 ./scale
	cd integration && TUS_SOAK_PROXY=20 $(GO) test -count 1 -timeout 30m -v -run 'TestBuffering|TestStreaming' ./servers/proxy

.PHONY: soak-fleet
soak-fleet: ## kill workers that share NATS or PostgreSQL KILLS times on each; prints tables
	cd integration && TUS_SOAK_FLEET=$(KILLS) $(GO) test -count 1 -timeout 120m -v ./fleet

.PHONY: servers
servers: ## try the client with each server and proxy that is installed: docs/servers.md and recorded.json
	cd integration && $(GO) run ./servers/cmd -page ../docs/servers.md -json servers/recorded.json $(SERVERFLAGS)

.PHONY: faults
faults: ## run every fault with every kind of upload, and write the table faults.md
	TUS_FAULTS=$(CURDIR)/faults.md $(GO) test -count 1 -run TestFaultMatrix ./tus

.PHONY: cover
cover: ## print the statement coverage of tus/...
	@$(GO) test -coverprofile coverage.out ./tus/... && $(GO) tool cover -func coverage.out | tail -n 1

APIDIFF     := golang.org/x/exp/cmd/apidiff@v0.0.0-20250106191152-7588d65b2ba8
# The last release; empty until there is one.
API_BASE    ?= $(shell git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null)
.PHONY: api
api: ## print changes of the exported API since the last release (API_BASE=tag)
	@base='$(API_BASE)'; if [ -z "$$base" ]; then echo "NOTICE: no release yet, no API to compare with"; exit 0; fi; \
	set -e; tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; mkdir "$$tmp/old"; module=$(MODULE); \
	git archive -o "$$tmp/old.tar" "$$base"; tar -xf "$$tmp/old.tar" -C "$$tmp/old"; \
	echo "== exported API since $$base"; \
	diff() { $(GO) run $(APIDIFF) -m "$$@" 2>"$$tmp/log" || { cat "$$tmp/log" >&2; return 1; }; }; \
	(cd "$$tmp/old" && diff -w "$$tmp/api" "$$module"); \
	diff "$$tmp/api" "$$module"; \
	broken=$$(diff -incompatible "$$tmp/api" "$$module"); \
	case "$$base" in \
	v0.*) [ -z "$$broken" ] || echo "NOTICE: incompatible: before 1.0 this requires a minor release and a line in CHANGELOG.md";; \
	*) [ -z "$$broken" ] || { echo "incompatible: this requires a new major version"; exit 1; };; \
	esac

.PHONY: tidy
tidy: ## run go mod tidy in all modules, also while the root module is unreleased
	@set -e; for m in $(MODULES); do ( \
		cd $$m; [ $$m = . ] || { \
			$(GO) mod edit $(foreach n,$(MODULES),-replace $(call PATH_OF,$n)=$(CURDIR)/$n); \
			trap '$(GO) mod edit $(foreach n,$(MODULES),-dropreplace $(call PATH_OF,$n))' EXIT; \
		}; \
		GOWORK=off $(GO) mod tidy \
	); done

.PHONY: bump
bump: ## let the nested modules require the coming release (NEXT=vX.Y.Z)
	@case "$(NEXT)" in v*.*.*) ;; *) echo "NEXT is a version: vX.Y.Z"; exit 2 ;; esac
	@set -e; for n in $(MODULES); do \
		path=$(MODULE)/$$n; path=$${path%/.}; \
		for m in $(MODULES); do \
			if grep -q "$$path v" $$m/go.mod; then (cd $$m && $(GO) mod edit -require $$path@$(NEXT)); fi; \
		done; \
		if grep -q "$$path v.* =>" go.work; then \
			$(GO) work edit -dropreplace $$path@$(VERSION) -replace $$path@$(NEXT)=./$${n#.}; \
		fi; \
	done

.PHONY: release-check
release-check: ## check that HEAD can be tagged as the release that the nested modules require
	@echo "== release-check $(VERSION)"
	@[ -z "$$(git status --porcelain)" ] || { git status --short; echo "commit or remove these files first"; exit 1; }
	@grep -qE '^## $(VERSION)(,| |$$)' CHANGELOG.md || { echo "CHANGELOG.md has no section $(VERSION)"; exit 1; }
	@$(MAKE) --no-print-directory tidy
	@git diff --exit-code -- '*go.mod' '*go.sum' || { echo "run make tidy, and commit"; exit 1; }
	@$(MAKE) --no-print-directory api API_BASE="$$(git describe --tags --abbrev=0 --match 'v[0-9]*' HEAD^ 2>/dev/null)"
	cd integration && $(GO) test -count 1 -v ./release
