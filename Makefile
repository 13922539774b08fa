# make          bin/foretop with its collectors inside: one file to copy
# make test     everything that must hold; what CI runs
# make help     the other targets

GO         ?= go
FUZZTIME   ?= 1m
SOAKTIME   ?= 10m
# What comes from outside first, for a short while in each make test: frames, hello and samples, facts, start lines, known_hosts, node sets, recordings.
SHORTFUZZ  := ^Fuzz(FrameReader|Decoder|AgainstProtobuf|Serve|ScanStart|KnownFile|Judge|Expand|File|Records)$$
BENCH      ?= .
ARCHES     := amd64 arm64
PAYLOAD    := sshpool/payload
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.1
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
PROTOC_GEN := google.golang.org/protobuf/cmd/protoc-gen-go
# The version comes from git where git can tell it; a build must not fail where it cannot.
VCS        := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)

# go-nvml declares functions that newer headers call deprecated; it does not concern us.
export CGO_CFLAGS ?= -O2 -g -Wno-deprecated-declarations

.PHONY: all payload test check lint vulncheck cross unit bench fuzz fuzzshort soak generate clean help
all: payload ## build bin/foretop with collectors for linux/amd64 and linux/arm64 inside
	$(GO) build -trimpath -buildvcs=$(VCS) -ldflags "-s -w" -o bin/foretop .

payload: $(ARCHES:%=payload-%) ## build what nodes get, into sshpool/payload

# No version stamp and no build id: the same source gives the same bytes, so nodes keep what they have.
payload-%:
	CGO_ENABLED=0 GOOS=linux GOARCH=$* $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -buildid=" \
		-o bin/payload/foretop-collector-linux-$* ./collectors/foretop-collector
	gzip -9nc bin/payload/foretop-collector-linux-$* >$(PAYLOAD)/foretop-collector-linux-$*.gz
	.ci/nvml $* bin/payload/foretop-nvml-linux-$* $(PAYLOAD)/foretop-nvml-linux-$*.gz

test: ## install what the tests need, then check and test everything
	sh scripts/setup.sh
	@sh scripts/launchers.sh & launchers=$$!; sh scripts/testbed/kube/build.sh >/dev/null & kube=$$!; \
		$(MAKE) --no-print-directory check && wait $$launchers && wait $$kube || { kill $$launchers $$kube 2>/dev/null; exit 1; }
	$(MAKE) --no-print-directory fuzzshort
	$(MAKE) --no-print-directory unit

check: lint cross vulncheck ## everything but the tests

lint: ## formatting, vet, staticcheck, go.mod
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w is due on:" $$unformatted; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

cross: ## builds without cgo and for other systems
	CGO_ENABLED=0 $(GO) build ./...
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build ./...

vulncheck: ## known vulnerabilities in what is called
	.ci/vulncheck $(GOVULNCHECK)

# Many tests wait for servers: three packages at once keep two cores busy.
unit: ## the tests, with the race detector, in random order
	$(GO) test -race -shuffle=on -p 3 -timeout 25m ./...

bench: ## the benchmarks; BENCH=regexp chooses
	sh scripts/setup.sh bench
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 -timeout 120m ./...

fuzz: ## every fuzz target for FUZZTIME (1m)
	.ci/fuzz $(FUZZTIME)

fuzzshort: ## the fuzz targets of what comes from outside first, five seconds each
	FUZZ='$(SHORTFUZZ)' .ci/fuzz 5s ./telemetry ./telemetry/facts ./fleet ./sshpool ./config ./recording

soak: ## the long ones: all seeds, long fuzzing (SOAKTIME, 10m a target); hours
	FORETOP_SOAK=1 $(GO) test -race -shuffle=on -count=1 -p 2 -timeout 12h ./...
	.ci/fuzz $(SOAKTIME)

generate: ## the Go code of facts.proto, with protoc from PATH: ours, and protobuf's own for the tests to compare with
	$(GO) build -o bin/protoc-gen-go $(PROTOC_GEN)
	$(GO) build -o bin/protoc-gen-facts ./telemetry/facts/gen
	cd telemetry/facts && PATH="$(CURDIR)/bin:$$PATH" protoc --facts_out=. --facts_opt=paths=source_relative \
		--go_out=protofacts --go_opt=paths=source_relative "--go_opt=Mfacts.proto=foretop/telemetry/facts/protofacts;protofacts" facts.proto
	gofmt -w telemetry/facts/facts.gen.go telemetry/facts/protofacts/facts.pb.go

clean: ## remove what was built
	rm -rf bin $(PAYLOAD)/foretop-*.gz

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
