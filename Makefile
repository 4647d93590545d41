# What one types to work on Millrace. `make` alone lists it.

RUN := .run
REDIS_PORT := 6390
SCRIPTS := scripts/*.sh deploy/is-ready .ci/run
# A server of one's own is used when REDIS_URL or REDIS_HOST names it.
OWN_REDIS := $(REDIS_URL)$(REDIS_HOST)

# Workers that can be made to crash at named steps. Every call of Cargo that is for tests has it, so
# that nothing is built twice; nothing that is released has it.
CRASHABLE := --features tests/crash-points
# What is released can speak TLS to Kafka; its OpenSSL is built along, which takes minutes once.
RELEASED := --features bus/kafka-tls

.DEFAULT_GOAL := help
.PHONY: help run-all demo build test run-tests chaos bench lint stop clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run-all: export DATABASE_URL ?= sqlite://$(RUN)/millrace.db?mode=rwc
run-all: ## start everything here: a Redis (or yours, by REDIS_URL), the workers, SQLite
ifeq ($(strip $(OWN_REDIS)),)
run-all: export REDIS_URL := redis://127.0.0.1:$(REDIS_PORT)
endif
run-all:
ifeq ($(strip $(OWN_REDIS)),)
	@scripts/redis.sh install
	@scripts/redis.sh start $(RUN)/redis $(REDIS_PORT)
endif
	@mkdir -p $(RUN)
	cargo build --release --workspace --bins $(RELEASED)
	@echo
	@echo 'Millrace is starting. In another terminal, try:'
	@echo '  make demo                        replay 6,919 real purchases and check every result'
	@echo "  export REDIS_URL=$$REDIS_URL  so that these find the same servers:"
	@echo '  target/release/millrace --help   send events, look at streams, profiles and analytics'
	@echo '  target/release/millrace streams  where every message is'
	@echo '  http://127.0.0.1:8080            takes events'
	@echo '  http://127.0.0.1:8090            the admin API'
	@echo 'Ctrl-C stops the workers, `make stop` the servers.'
	@echo
	@exec target/release/millrace up

demo: ## replay the CDNOW sample on a running `make run-all` and check the results
	@scripts/demo.sh

build: ## build all binaries, optimised
	cargo build --release --workspace --bins $(RELEASED)

# Kafka and MongoDB are started once for all tests: they take longer to start than most tests to run.
test: ## install Redis, PostgreSQL, Kafka and MongoDB if missing, and run all tests
	@scripts/redis.sh install || echo 'no redis-server: tests that need it are SKIPPED, or fail if CI=true'
	@scripts/postgres.sh install || echo 'no PostgreSQL: tests that need it are SKIPPED, or fail if CI=true'
	@scripts/kafka.sh install || echo 'no Kafka: tests that need it are SKIPPED, or fail if CI=true'
	@scripts/mongodb.sh install || echo 'no MongoDB: tests that need it are SKIPPED, or fail if CI=true'
	@scripts/with-servers.sh $(MAKE) --no-print-directory run-tests

# Every step selects the whole workspace, so that the features of shared dependencies are the same
# and nothing is built twice. The tests that span crates come last.
run-tests:
	cargo build --workspace --bins $(CRASHABLE)
	cargo test --workspace $(CRASHABLE) --doc
	cargo test --workspace $(CRASHABLE) --no-fail-fast --lib --bins
	cargo test --workspace $(CRASHABLE) --no-fail-fast --test '*'

chaos: ## break everything that can break, under load, and count: some eight minutes
	@scripts/redis.sh install
	@scripts/postgres.sh install
	@scripts/kafka.sh install
	@scripts/mongodb.sh install
	cargo build --workspace --bins $(CRASHABLE)
	CHAOS=full CI=true cargo test --workspace $(CRASHABLE) --test chaos -- --nocapture

bench: ## measure beside the bare limits of this machine: about 10 minutes; BENCH='publish flow'
	@scripts/redis.sh install
	@scripts/postgres.sh install
	@scripts/kafka.sh install
	@scripts/mongodb.sh install
	cargo build --release --workspace --bins $(RELEASED)
	CI=true cargo bench --workspace --bench bench -- --json $(CURDIR)/target/bench.json $(BENCH)

lint: ## format, clippy, the tidy test, licences and sources of dependencies, scripts
	cargo fmt --all --check
	cargo clippy --workspace --all-targets $(CRASHABLE) -- -D warnings
	cargo test --workspace $(CRASHABLE) --test tidy
	@if cargo deny --version >/dev/null 2>&1; then \
		echo 'cargo deny check'; cargo deny check --config .deny.toml bans licenses sources; \
	else \
		echo '*** SKIPPED: cargo deny is not installed (cargo install cargo-deny --locked)' >&2; \
	fi
	@for script in $(SCRIPTS); do bash -n "$$script" || exit 1; done
	@if command -v shellcheck >/dev/null; then echo shellcheck; shellcheck -x $(SCRIPTS); fi

stop: ## stop the servers that run under .run: those of run-all and your own
	@scripts/redis.sh stop $(RUN)/redis
	@scripts/postgres.sh stop $(RUN)/postgres
	@scripts/kafka.sh stop $(RUN)/kafka
	@scripts/mongodb.sh stop $(RUN)/mongodb

clean: stop ## stop the servers, remove what was built and all local data
	cargo clean
	rm -rf $(RUN)
