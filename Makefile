# What developers type. `make check` is all that guards main.

FUZZTIME  ?= 4s
VALUETIME ?= 30s
SOAKTIME  ?= 10m
LASTING   ?= 20s
SOAKCOUNT ?= 20
SIMULATETIME ?= 20m

staticcheck = go tool -modfile=tools/go.mod staticcheck

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build the binaries into bin/
	go build -o bin/ ./cmd/...

.PHONY: test
test: ## Run the tests
	go test ./...
	go -C tools test ./...
	go -C bench test ./...

.PHONY: race
race: ## Run the tests with the race detector, and those of random programs for LASTING (20s) each
	@# rmigen and what reads sources start no goroutines, and take long
	go test -race $$(go list ./... | grep -Ev '/internal/(arch|compat|gen|testmod|vet)$$|/docs$$')
	go test -race -run 'Juicer|PipelinesDo' ./rmi -lasting $(LASTING)
	@# with the sockets that are passed by otherwise: the detector does not see what the system reads, but who uses it after
	go test -race -tags rmigo_sockets -run 'Socket|WriteNow|WrittenLater|ArgumentIsThe|ReadsNoMoreEnds|QuickLarge|OneMoreConnection' ./internal/transport ./rmi

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (4s), decoding of values for VALUETIME (30s)
	tools/fuzz.sh $(FUZZTIME) $(VALUETIME)

.PHONY: lint
lint: ## Check format, go vet (here, darwin, windows), staticcheck and rmigen vet
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then \
		echo "gofmt -w is due for:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go -C tools vet ./...
	go -C bench vet ./...
	GOOS=darwin go vet ./...
	GOOS=windows go vet ./...
	$(staticcheck) ./...
	go run ./cmd/rmigen vet ./...

.PHONY: generate
generate: ## Write the generated code of all packages
	go run ./cmd/rmigen ./...
	go -C bench tool rmigen ./remote ./codec ./corpus

.PHONY: generated
generated: ## Check that the generated code is up to date
	go run ./cmd/rmigen check ./...
	go -C bench tool rmigen check ./remote ./codec ./corpus ./calls

.PHONY: examples
examples: ## Run the example that needs no other terminals
	go run ./examples/bank

.PHONY: readme
readme: ## Run the README's commands as they stand
	go -C tools run ./readme ../README.md

.PHONY: bench
bench: ## Compare with other runtimes, in under 20 minutes: bench/RESULTS.md and a chart
	go -C bench run . -out .

.PHONY: bench-quick
bench-quick: ## The same in under four minutes, as lines "ratio WORKLOAD PEER VALUE"
	go -C bench run . -quick

.PHONY: benchcmp
benchcmp: ## Compare the micro-benchmarks of revision OLD with those of NEW (the working tree)
	tools/benchcmp.sh "$(OLD)" "$(NEW)"

.PHONY: check
check: ## Do what CI does
	.ci/run

.PHONY: rules
rules: ## Take each rule of distributed collection out of the code, and see that its tests notice
	go -C tools run ./rules ../gc/testdata/rules.txt

.PHONY: soak
soak: rules ## Take out each rule of collection, explore the larger models, simulate for SIMULATETIME (20m), repeat the race tests SOAKCOUNT (20) times and fuzz each target for SOAKTIME (10m)
	go test -run Promises -v -timeout=0 ./gc/internal/model -soak
	go test -run ReferencesSurvive -v -timeout=0 ./rmi -simulate $(SIMULATETIME)
	go test -race -run 'Juicer|PipelinesDo' -v -timeout=0 ./rmi -lasting $(SOAKTIME)
	go test -race -count=$(SOAKCOUNT) -timeout=0 ./...
	tools/fuzz.sh $(SOAKTIME)

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
