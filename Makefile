# Millstream. `make help` lists the targets.

GO      ?= go
BIN     := bin/millstream
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X github.com/millstream-dev/millstream/internal/version.Version=$(VERSION)

# The SQL parser is PostgreSQL's own, in C where a compiler is there (a
# millisecond at start), as WebAssembly elsewhere (a second at start).
CC_FOUND := $(shell command -v $(firstword $(shell $(GO) env CC)) 2>/dev/null)
ifneq ($(CC_FOUND),)
export CGO_ENABLED := 1
TAGS := pgquery_cgo
else
export CGO_ENABLED := 0
TAGS :=
endif
# The version is stamped by LDFLAGS; asking git for more fails in a clone that
# belongs to somebody else.
GOBUILD := $(GO) build -buildvcs=false -tags=$(TAGS)
GOTEST  := $(GO) test -buildvcs=false -tags=$(TAGS) $(TESTFLAGS)
# PostgreSQL for tests: the server that MILLSTREAM_TEST_DATABASE_URL names, or
# one of their own, found on the machine or fetched.
WITH_POSTGRES := $(GO) run -buildvcs=false -tags=$(TAGS) ./test/withpostgres

LINT_VERSION := v2.15.0
LINT         := $(or $(shell command -v golangci-lint 2>/dev/null),bin/golangci-lint)

# Packages in which engines run.
ENGINES := ./internal/engine/... ./internal/pipeline/... ./internal/kafka/... ./internal/postgres/... ./internal/serve/... ./internal/testbed/...

# What cross builds for: systems and processors.
CROSS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: help build web env spark-test demo test test-race lint fmt cross bench bench-latency bench-growth bench-peers clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

build: ## build bin/millstream
	$(GOBUILD) -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/millstream

spark-test: ## test the Spark engine with Spark, Kafka and PostgreSQL (fetches 600 MB once)
	$(WITH_POSTGRES) test/spark/run

env: ## write .env for docker compose, with random passwords
	@sh deploy/make-env $(ENV)

web: ## build the dashboard's pages, which are committed (needs Node 20)
	cd web && npm ci --no-audit --no-fund && npm test && npm run build

demo: build ## run everything in one process, with sample traffic
	@$(BIN) demo $(DEMOFLAGS)

test: ## all tests that need only Go and PostgreSQL
	@$(WITH_POSTGRES) $(GOTEST) ./...

test-race: ## the race detector, where engines run
	@$(WITH_POSTGRES) $(GOTEST) -race $(ENGINES)

lint: $(LINT) ## golangci-lint, built if it is not there
	$(LINT) run --build-tags=$(TAGS)
	cd bench && $(abspath $(LINT)) run --build-tags=$(TAGS) --modules-download-mode=mod

bin/golangci-lint:
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

fmt: ## format the code
	gofmt -w cmd internal test bench

cross: ## build for Linux, macOS and Windows without cgo; CROSS says for which
	@for target in $(CROSS); do \
		echo "build $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -buildvcs=false -tags= -o /dev/null ./cmd/millstream || exit 1; \
	done

# Benchmarks are a module of their own: what they compare with is no part of
# the product, whose requirements they follow by -mod=mod. BENCH passes options,
# RECORD=1 keeps the results.
BENCHMARK = $(GO) -C bench run -mod=mod -buildvcs=false -tags=$(TAGS) . $(if $(RECORD),-record)

bench: build ## measure throughput: Y, S and U (docs/benchmarks.md)
	$(BENCHMARK) -set bench $(BENCH)

bench-latency: build ## measure latency at fixed rates
	$(BENCHMARK) -set latency $(BENCH)

bench-growth: build ## measure what grows with what, memory and restarts
	$(BENCHMARK) -set growth $(BENCH)

bench-peers: build ## measure beside Apache Spark (fetches 550 MB once)
	$(BENCHMARK) -set peers $(BENCH)

clean: ## remove what was built
	rm -rf bin
