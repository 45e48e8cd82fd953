# make help lists the targets. Variables: PARALLEL, FUZZTIME, SOAKTIME, SCALE, ROUNDS, REF, PKG, BENCH.

GO       ?= go
FUZZTIME ?= 60s
SOAKTIME ?= 30m
SCALE    ?= 1
ROUNDS   ?= 3
REF      ?= HEAD~1
PKG      ?= ./...
BENCH    ?= .

# Packages tested at once: many tests wait for duplicity, servers and clocks.
PARALLEL ?= $(shell expr 2 \* $$(nproc))

# Packages that start goroutines, or stores that many ask at once: these are tested under
# the race detector too, with -short, where they do what shows goroutines and little else.
CONCURRENT = /(chain|codec|dirstore|storetest|source|backup|extract|pgp|index|content|fusefs|s3store|s3test|hindsight)$$

# tool:package pairs, as Debian names them, that tests, demo and bench run.
TOOLS = duplicity:duplicity gpg:gnupg gpgconf:gpgconf fusermount3:fuse3 rdiff:rdiff restic:restic pigz:pigz gzip:gzip \
        python3:python3 rsync:rsync gcc:gcc setfattr:attr setfacl:acl setpriv:util-linux

# The S3 server that tests and bench run; not in go.mod, as nothing is linked with it.
VERSITYGW = github.com/versity/versitygw/cmd/versitygw@v1.8.0

.PHONY: help build check test short e2e fuzz bench bench-s3 bench-cmp cover soak demo deps clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## bin/hindsight
	$(GO) build -trimpath -ldflags '-s -w' -o bin/hindsight ./cmd/hindsight

check: ## what every commit must pass
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt -w" $$unformatted; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test -short ./...
	$(GO) test -race -short $$($(GO) list ./... | grep -E '$(CONCURRENT)')

test: deps ## everything; a tool that is missing is a failure
	$(GO) vet ./...
	HINDSIGHT_TEST_REQUIRE=1 $(GO) test -p $(PARALLEL) -timeout 30m ./...
	$(GO) test -race -short -p $(PARALLEL) -timeout 30m $$($(GO) list ./... | grep -E '$(CONCURRENT)')

short: ## the quick tests
	$(GO) test -short ./...

e2e: deps ## the command line only, live interoperation included
	HINDSIGHT_TEST_REQUIRE=1 $(GO) test -count=1 ./cmd/...

fuzz: ## every fuzz target for FUZZTIME
	@set -e; grep -rn --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' . | sort -u | \
	while IFS=: read -r file line func; do \
		name=$${func#func }; dir=$$(dirname "$$file"); \
		echo "== $$dir $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$$dir" </dev/null; \
	done

bench: deps ## whole backups and restores against duplicity, restic and tar
	$(GO) run ./cmd/bench --scale $(SCALE) --rounds $(ROUNDS)

bench-s3: deps ## the same over a network of 10 ms each way and 500 Mbit/s, to an S3 server
	$(GO) run ./cmd/bench --s3 --scale $(SCALE) --rounds $(ROUNDS)

bench-cmp: ## Go benchmarks BENCH of PKG, this tree against REF, ten runs each
	@set -e; old=$$(mktemp -d); trap 'git worktree remove --force "$$old/tree"; rm -rf "$$old"' EXIT; \
	git worktree add --detach --quiet "$$old/tree" $(REF); \
	(cd "$$old/tree" && $(GO) test -run '^$$' -bench '$(BENCH)' -count 10 $(PKG)) >"$$old/old.txt"; \
	$(GO) test -run '^$$' -bench '$(BENCH)' -count 10 $(PKG) >"$$old/new.txt"; \
	$(GO) tool benchstat "$$old/old.txt" "$$old/new.txt"

cover: ## bin/cover.html
	@mkdir -p bin
	$(GO) test -short -coverpkg ./... -coverprofile bin/cover.out ./...
	$(GO) tool cover -html bin/cover.out -o bin/cover.html
	$(GO) tool cover -func bin/cover.out | tail -1

soak: deps ## the endless tests for SOAKTIME each
	HINDSIGHT_TEST_REQUIRE=1 HINDSIGHT_SOAK=$(SOAKTIME) $(GO) test -count=1 -v -run Soak -timeout 0 ./...

demo: deps ## two minutes with the program, on a folder of its own
	sh cmd/demo/demo.sh

deps: ## install what tests, demo and bench run, where it is missing
	@set -e; missing=; \
	for pair in $(TOOLS); do \
		command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	python=$$(sed -n '1s/^#! *//p' "$$(command -v duplicity)" 2>/dev/null); \
	$${python:-python3} -c 'import boto3' 2>/dev/null || missing="$$missing python3-boto3"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "make deps: please install:$$missing" >&2; exit 1; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -q; \
	apt-get install -q -y --no-install-recommends $$missing
	@bin=$$($(GO) env GOBIN); PATH="$$PATH:$${bin:-$$($(GO) env GOPATH)/bin}"; \
	command -v versitygw >/dev/null || $(GO) install $(VERSITYGW)

clean: ## remove what the other targets made
	rm -rf bin
	$(GO) clean -testcache
