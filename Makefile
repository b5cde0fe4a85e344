# run · test · demo · bench · bench-record · bench-check · bench-peers · fmt. They need a Rust toolchain; what else is missing they install on Debian.

# A release build that is quick to make; the profile is in Cargo.toml.
BUILD = cargo build --profile serve --bin daybook
# What is deployed: it takes some ten minutes to build.
BENCH = cargo bench --bench daybook --
DAYBOOK = $(or $(CARGO_TARGET_DIR),target)/serve/daybook

.PHONY: run test demo bench bench-record bench-check bench-peers fmt compiler postgres pgbouncer file-stores clients tour wrk

run: compiler $(if $(DATABASE_URL),,postgres)
	$(BUILD)
	exec $(DAYBOOK) serve

test: compiler postgres pgbouncer file-stores clients tour
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --workspace
	scripts/test-alerts.sh

# On the project's own documents, or on DIR; against DAYBOOK_SERVER with DAYBOOK_KEY, or a server of its own.
DIR = docs
demo: compiler postgres
	$(BUILD)
	scripts/demo.sh $(DAYBOOK) $(DIR)

# All, or a few with ONLY=append_64,http_command_64.
bench: compiler postgres wrk
	$(BENCH) $(ONLY)

# The same, and what was measured replaces what is committed.
bench-record: compiler postgres wrk
	$(BENCH) --record $(ONLY)

# Fails where a ratio is more than a fifth worse than the committed one.
bench-check: compiler postgres wrk
	$(BENCH) --check $(ONLY)

# What users would pick instead, and Daybook, on one PostgreSQL; all, or a few with ONLY=cqrs-es,umadb.
bench-peers: compiler postgres
	scripts/ensure-peers.sh
	python3 -B benches/peers/main.py $(ONLY)

fmt:
	cargo fmt --all

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
