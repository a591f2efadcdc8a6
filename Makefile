# Two commands set everything up on a machine with Rust, a C++ compiler and Python 3 with pip:
#   make demo   the main job from end to end, on the project's own data
#   make test   every test
#   make parity   the text families beside the transformers that is installed, on networks made again
#   make soak   the long forms of the tests of faults and signals; takes an hour or two
#   make demo-images   the textbook's exercise with images: a classifier of two classes becomes one of two others

.PHONY: demo demo-images test parity bench setup soak

setup:
	@scripts/setup-libtorch
	@scripts/setup-model

demo: setup
	cargo build --release
	@scripts/demo

demo-images: setup
	cargo build --release
	@scripts/demo-images

test: setup
	@scripts/setup-python
	@scripts/setup-browser
	PYTHONPATH="$(CURDIR)/.python" cargo test --release --no-fail-fast

# The fixtures are made again with the installed transformers, and the families tested on them.
parity: setup
	@scripts/setup-python
	rm -rf target/parity
	PYTHONPATH="$(CURDIR)/.python" python3 tests/fixtures/make_fixtures.py target/parity
	PYTHONPATH="$(CURDIR)/.python" python3 tests/fixtures/make_families.py target/parity
	PYTHONPATH="$(CURDIR)/.python" TEST_FIXTURES="$(CURDIR)/target/parity" \
	    cargo test --release --no-fail-fast --test parity --test families

# EVERY=5 takes every fifth operation, KILLS=100 so many signals. See docs/reliability.md.
soak: setup
	cargo build --release
	@scripts/soak $(or $(EVERY),1) $(or $(KILLS),1000)

# Beside the Python libraries that do the same work; takes long. ARGS=--quick for a trial. See benches/README.md.
bench: setup
	@scripts/bench-setup
	cargo build --release
	benches/run $(ARGS)
