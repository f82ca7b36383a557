# hale's commands. `make test` is all a fresh machine needs.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# Static and stripped. Nothing in hale needs cgo.
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

.PHONY: build image images test deps format vet lint race bench docs fuzz clean

build: ## The binaries, static and stripped: bin/hale and bin/hale-probe
	$(BUILD) -o bin/hale ./cmd/hale
	$(BUILD) -o bin/hale-probe ./cmd/hale-probe

image: ## A container image of hale, without pulling anything: hale:VERSION and hale:latest
	@scripts/image $(VERSION)

images: ## The same for amd64 and arm64; only this machine's can be run here
	@scripts/image $(VERSION) amd64 arm64

test: deps format vet lint race ## Install what the tests need, then check and test everything

deps:
	@scripts/test-deps

format:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
		echo "not formatted (run gofmt -w):"; echo "$$unformatted"; exit 1; fi

# hale is Linux first, and has to build on the rest of Unix.
vet:
	$(GO) vet ./...
	GOOS=darwin CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/hale

lint:
	$(GO) tool staticcheck ./...

race:
	scripts/with-engine $(GO) test -race -timeout 20m ./...

bench: deps build ## Measure against the peers that Debian packages; prints the tables of docs/benchmarks.md
	@scripts/bench-deps
	scripts/with-engine $(GO) run ./bench -hale bin/hale

docs: ## Write the pages that are made from tables in the code
	$(GO) test ./internal/balancer -run TestThePageIsInStep -update

fuzz: ## Each fuzz test for half a minute
	@scripts/fuzz 30s

clean:
	rm -rf bin dist
