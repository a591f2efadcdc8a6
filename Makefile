# Two commands set everything up on a machine with Rust, a C++ compiler and Python 3 with pip:
#   make demo   the main job from end to end, on the project's own data
#   make test   every test

.PHONY: demo test bench setup

setup:
	@scripts/setup-libtorch
	@scripts/setup-model

demo: setup
	cargo build --release
	@scripts/demo

test: setup
	@scripts/setup-python
	PYTHONPATH="$(CURDIR)/.python" cargo test --release --no-fail-fast

# Beside Hugging Face's Trainer and pipeline; takes long. See benches/README.md.
bench: setup
	@scripts/setup-python
	cargo build --release
	PYTHONPATH="$(CURDIR)/.python" benches/run
