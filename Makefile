# The commands a contributor needs; CI runs test and test-all.

GO ?= go
TOOLS := $(CURDIR)/.tools
NOT_RUN := $(TOOLS)/not-run

.PHONY: build test test-all bench fmt-check

build: ## bin/popkv
	$(GO) build -trimpath -o bin/popkv ./cmd/popkv

test: fmt-check ## everything that needs only Go
	$(GO) vet ./...
	$(GO) test ./...

fmt-check:
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then echo "not formatted:"; echo "$$files"; exit 1; fi

test-all: ## real AWS clients, the njs oracle, longer fault loops; installs what it needs into .tools/
	@./compat/tools.sh
	@mkdir -p $(TOOLS) && rm -f $(NOT_RUN)
	@status=0; \
	export PATH="$(TOOLS)/njs/usr/bin:$$PATH" POPKV_NOT_RUN=$(NOT_RUN); \
	(cd compat && $(GO) vet ./... && $(GO) test -count=1 -timeout 15m ./...) || status=1; \
	POPKV_TEST_LONG=1 $(GO) test -p 1 -count=1 -timeout 20m ./... || status=1; \
	if [ -s $(NOT_RUN) ]; then echo "did not run:"; sort -u $(NOT_RUN) | sed 's/^/  /'; else echo "did not run: nothing"; fi; \
	exit $$status

bench: ## measured ratios, each to a floor in the same run; docs/performance.md
	cd bench && $(GO) test -run '^$$' -bench . -benchtime 2s ./...
	$(GO) test -run '^$$' -bench Neighbours -benchtime 1x ./internal/cfworker
