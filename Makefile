# The commands of this project; continuous integration runs the same ones.
#
#   make test    every test, with the programs they are tested against
#   make check   what a change must pass: fmt vet lint test cross, short fuzz
#   make cross   builds for the other systems, without cgo
#   make fuzz    every fuzz target for FUZZTIME, one after the other
#   make bench   the fan-out benchmark

GO       ?= go
CACHE    ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mediakit
FUZZTIME ?= 60s

# The race detector needs a C compiler.
RACE := $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v $$($(GO) env CC) >/dev/null && echo -race)

LINT := $(CACHE)/bin/golangci-lint-v2.15.0

CROSS := windows/amd64 darwin/arm64 linux/arm64 linux/386 android/arm64

.PHONY: test check fmt vet lint cross fuzz bench peers

# On Debian as root peers installs what is missing, and no test may be skipped
# for want of a program. Elsewhere the tests say what they skipped, at the end.
test: peers
	@[ -n "$(RACE)" ] || echo '!!! no C compiler found: the tests run WITHOUT the race detector' >&2
	$(GO) test $(RACE) $$($(GO) list ./... | grep -v /internal/e2e)
	@rm -f $(CACHE)/skipped
	MEDIAKIT_CACHE=$(CACHE) MEDIAKIT_E2E=$$(internal/e2e/peers/mode) \
		$(GO) test $(RACE) -count=1 -parallel=6 -timeout=25m ./internal/e2e
	@[ ! -s $(CACHE)/skipped ] || { echo '!!! SKIPPED:'; cat $(CACHE)/skipped; } >&2

peers:
	CACHE=$(CACHE) internal/e2e/peers/install

check: fmt vet lint test cross
	$(MAKE) fuzz FUZZTIME=10s

fmt:
	@files=$$(gofmt -l .); [ -z "$$files" ] || { echo "gofmt would change:"; echo "$$files"; exit 1; }

vet:
	$(GO) vet ./...

lint: $(LINT)
	$(LINT) run ./...

$(LINT):
	@mkdir -p $(@D)
	GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(@D)/golangci-lint $@

# vet compiles the tests, too. Programs for iOS need Apple's linker, so only the
# packages are built there.
cross:
	@set -e; export CGO_ENABLED=0; for t in $(CROSS); do \
		echo "build $$t"; \
		GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build ./...; \
		GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) vet ./...; \
	done
	@echo 'build ios/arm64 (packages)'
	@CGO_ENABLED=0 GOOS=ios GOARCH=arm64 $(GO) build $$($(GO) list -f '{{if ne .Name "main"}}{{.ImportPath}}{{end}}' ./...)

fuzz:
	@set -e; for p in $$($(GO) list ./...); do \
		list=$$($(GO) test -list '^Fuzz' $$p); \
		for f in $$(echo "$$list" | grep '^Fuzz' || true); do \
			echo "fuzz $$p $$f for $(FUZZTIME)"; \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $$p; \
		done; \
	done

bench:
	$(GO) run ./bench
