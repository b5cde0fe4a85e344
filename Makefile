# They need a Rust toolchain; what else is missing they install on Debian. `make help` lists them.

# A release build that is quick to make; the profile is in Cargo.toml.
BUILD = cargo build --profile serve --bin daybook
# What is deployed: it takes some ten minutes to build.
BENCH = cargo bench --bench daybook --
DAYBOOK = $(or $(CARGO_TARGET_DIR),target)/serve/daybook

# The codes of refusals that tests have produced.
REFUSALS = $(abspath $(or $(CARGO_TARGET_DIR),target))/refusals

.DEFAULT_GOAL = help
.PHONY: help run test demo bench bench-record bench-check bench-peers fmt docs deny compiler postgres pgbouncer file-stores clients tour wrk

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: compiler $(if $(DATABASE_URL),,postgres) ## Build and start a server on 127.0.0.1:8080
	$(BUILD)
	exec $(DAYBOOK) serve

test: compiler postgres pgbouncer file-stores clients tour ## Run all that CI runs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	rm -rf $(REFUSALS) && mkdir -p $(REFUSALS)
	REFUSALS_FOLDER=$(REFUSALS) cargo test --workspace
	REFUSALS_FOLDER=$(REFUSALS) cargo test --workspace --test refusals -- --ignored
	cargo test --workspace --test recipe -- --ignored
	scripts/test-alerts.sh

# On the project's own documents, or on DIR; against DAYBOOK_SERVER with DAYBOOK_KEY, or a server of its own.
DIR = docs
demo: compiler postgres ## Show the whole journey on DIR, a folder of Markdown files (docs)
	$(BUILD)
	scripts/demo.sh $(DAYBOOK) $(DIR)

# All, or a few with ONLY=append_64,http_command_64.
bench: compiler postgres wrk ## Measure everything, or the rows in ONLY
	$(BENCH) $(ONLY)

# The same, and what was measured replaces what is committed.
bench-record: compiler postgres wrk ## Measure, and keep the figures
	$(BENCH) --record $(ONLY)

# Fails where a ratio is more than a fifth worse than the committed one.
bench-check: compiler postgres wrk ## Measure, and compare with the committed figures
	$(BENCH) --check $(ONLY)

# What users would pick instead, and Daybook, on one PostgreSQL; all, or a few with ONLY=cqrs-es,umadb.
bench-peers: compiler postgres ## Measure what else there is
	scripts/ensure-peers.sh
	python3 -B benches/peers/main.py $(ONLY)

fmt: ## Format the code
	cargo fmt --all

docs: compiler ## Build the documentation of all crates
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

deny: compiler ## Check licences, sources and duplicates of all crates
	@scripts/ensure-deny.sh
	cargo deny check licenses bans sources

compiler:
	@scripts/ensure-compiler.sh

postgres:
	@scripts/ensure-postgres.sh

pgbouncer:
	@scripts/ensure-pgbouncer.sh

file-stores:
	@scripts/ensure-file-stores.sh

wrk:
	@scripts/ensure-wrk.sh

clients:
	@scripts/ensure-clients.sh mcp
	@scripts/ensure-clients.sh openapi

tour:
	@scripts/ensure-tour.sh
