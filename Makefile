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
GOBUILD := $(GO) build -tags=$(TAGS)
GOTEST  := $(GO) test -tags=$(TAGS)

LINT_VERSION := v2.15.0

.PHONY: help build demo test test-race lint fmt cross clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

build: ## build bin/millstream
	$(GOBUILD) -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/millstream

demo: build ## run everything in one process, with sample traffic
	@$(BIN) demo

test: ## all tests that need only Go and PostgreSQL
	$(GO) run -tags=$(TAGS) ./test/withpostgres $(GO) test -tags=$(TAGS) $(TESTFLAGS) ./...

test-race: ## the race detector, where engines run
	$(GO) run -tags=$(TAGS) ./test/withpostgres $(GO) test -tags=$(TAGS) -race $(TESTFLAGS) ./internal/engine/... ./internal/pipeline/... ./internal/kafka/... ./internal/serve/...

lint: ## golangci-lint, installed if it is not there
	@command -v golangci-lint >/dev/null || $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	PATH="$$PATH:$$($(GO) env GOPATH)/bin" golangci-lint run --build-tags=$(TAGS)

fmt: ## format the code
	gofmt -w cmd internal test

cross: ## build for Linux, macOS and Windows without cgo
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "build $$os/$$arch"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -tags= -o /dev/null ./cmd/millstream || exit 1; \
	done; done

clean: ## remove what was built
	rm -rf bin
