# What there is to do here. `make help` lists it.
#
# NODE=real|fake|both says what runs the Pods of the test cluster (default: real when root on Linux, else fake).
# CLUSTER=own uses the cluster that KUBECONFIG names instead.

TEST_CLUSTER = cargo run --quiet --package test-cluster --
TOOLS = $(CURDIR)/target/tools
CARGO_DENY = $(TOOLS)/bin/cargo-deny
CARGO_DENY_VERSION = 0.20.2
CARGO_FUZZ = $(TOOLS)/bin/cargo-fuzz
CARGO_FUZZ_VERSION = 0.13.2
FUZZ_TARGETS = custom_resource overlay registration restart

# Real containers need root; without it their tests say that they are left out, and fail under CI.
TEST_NODES = $(if $(CI)$(filter 0,$(shell id -u)),both,fake)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the operator
	cargo build --release

.PHONY: crds
crds: ## Generate crds/ from the API types
	cargo run --quiet -- crd --dir crds

.PHONY: lint
lint: $(CARGO_DENY) ## Check formatting, lints and licences
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --document-private-items --quiet
	$(CARGO_DENY) --log-level error check bans licenses sources

$(CARGO_DENY):
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --quiet --root $(TOOLS)

.PHONY: test
test: ## Prove everything: lints, laws, scenarios, a real API server, a real node
	@$(MAKE) --no-print-directory lint
	@cargo build --quiet --workspace --all-targets
	@$(TEST_CLUSTER) up --node $(TEST_NODES)
	@cargo test --workspace || { $(TEST_CLUSTER) down; exit 1; }
	@$(TEST_CLUSTER) down

.PHONY: test-fast
test-fast: ## Prove what needs no cluster: laws, snapshots, scenarios in memory
	cargo test --lib
	cargo test --test scenarios in_memory
	cargo test --package test-apiserver in_memory

.PHONY: test-node
test-node: ## Prove what only real containers can show; needs root on Linux
	cargo test --test node

.PHONY: state-space
state-space: ## Change every property of both schemas on a running workspace, and back; see tests/state_space/choice.rs
	@cargo test --quiet --test state_space --no-run
	@$(TEST_CLUSTER) up --node fake
	@STATE_SPACE=$(or $(STATE_SPACE),all) STATE_SPACE_SEQUENCES=$(or $(SEQUENCES),100) \
	  cargo test --test state_space -- --nocapture || { $(TEST_CLUSTER) down; exit 1; }
	@$(TEST_CLUSTER) down

# Stable Rust can count what an input reaches, but has no address sanitizer: there is no unsafe code to need one. What
# is found anew is kept below target/; minimise it and put it into tests/fuzz/corpus.
.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Look for inputs that break a property, 10 minutes for each target; SECONDS=60 for less
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p target/fuzz/corpus/$$target; \
	  CARGO_PROFILE_RELEASE_LTO=off $(CARGO_FUZZ) run --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer none \
	    --features libfuzzer $$target target/fuzz/corpus/$$target tests/fuzz/corpus/$$target \
	    -- -max_total_time=$(or $(SECONDS),600) -max_len=16384 -print_final_stats=1 || exit 1; \
	done

$(CARGO_FUZZ):
	cargo install cargo-fuzz --version $(CARGO_FUZZ_VERSION) --locked --quiet --root $(TOOLS)

.PHONY: bench
bench: ## Roll a change over 5,000 workspaces; WORKSPACES=200 for fewer
	@cargo build --quiet --package test-cluster
	@$(TEST_CLUSTER) up --node fake
	@cargo bench --quiet --bench rollout -- --workspaces $(or $(WORKSPACES),5000) || { $(TEST_CLUSTER) down; exit 1; }
	@$(TEST_CLUSTER) down

.PHONY: load-faults
load-faults: ## Let a cluster fail around 1,000 workspaces; WORKSPACES=100 for fewer
	@cargo build --quiet --package test-cluster
	@$(TEST_CLUSTER) up --node fake
	@cargo bench --quiet --bench load_faults -- --workspaces $(or $(WORKSPACES),1000) || { $(TEST_CLUSTER) down; exit 1; }
	@$(TEST_CLUSTER) down

.PHONY: campaign
campaign: ## Every scenario with every fault at every write, on a real API server; then the fuzzer
	@cargo build --quiet --package test-cluster
	@$(TEST_CLUSTER) up --node fake
	@cargo test --quiet --test campaign -- --all --report docs/results/campaign.md || { $(TEST_CLUSTER) down; exit 1; }
	@$(TEST_CLUSTER) down
	@$(MAKE) --no-print-directory fuzz

.PHONY: simulation
simulation: ## Play 2,000 seeds of the deterministic simulation, and all orders; SEEDS=100 for fewer
	@SEEDS=$(or $(SEEDS),2000) cargo test --quiet --test simulation

.PHONY: seed
seed: ## Play one seed of the simulation, SEED=7, and print its trace
	@SEED=$(or $(SEED),1) cargo test --quiet --test simulation

.PHONY: orders
orders: ## Enumerate all orders of two operators to DEPTH=7 choices
	@DEPTH=$(or $(DEPTH),7) SEEDS=1 cargo test --quiet --test simulation

.PHONY: soak
soak: ## Play seeds for SECONDS=600
	@SIMULATE_FOR=$(or $(SECONDS),600) cargo test --quiet --test simulation

.PHONY: demo
demo: ## Show a workspace's life with the commands a person would type
	@cargo build --quiet --bin workspace-operator --example demo
	@cargo run --quiet --example demo -- $(if $(NODE),--node $(NODE))

.PHONY: cluster-up
cluster-up: ## Bring the test cluster up
	@$(TEST_CLUSTER) up $(if $(NODE),--node $(NODE))

.PHONY: cluster-down
cluster-down: ## Take the test cluster down, with all it left behind
	@$(TEST_CLUSTER) down

.PHONY: cluster-status
cluster-status: ## Say what of the test cluster runs
	@$(TEST_CLUSTER) status
