# All targets use the virtual environment .venv, which `make install` creates; every target that needs it calls that first.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
DEVELOP := $(VENV)/.develop
PIP := $(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt
# The build of torch: for CUDA if there is an NVIDIA GPU, otherwise for the CPU; to choose: make install GPU=no
GPU ?= $(if $(wildcard /dev/nvidiactl),yes,no)
# EXTRAS= installs the base alone: OCR, statements, receipts, invoices (0.6 GB)
ifeq ($(GPU),yes)
EXTRAS ?= documents,speech,vlm,quantized
SIZE := torch for CUDA (6 GB altogether)
else
EXTRAS ?= documents,speech-libraries,vlm
# the index of CPU builds of torch, which saves gigabytes: see docs/install.md
TORCH_INDEX ?=
SIZE = $(if $(TORCH_INDEX),torch for the CPU (2 GB altogether),the default build of torch (up to 6 GB altogether; 2 GB \
with TORCH_INDEX: see docs/install.md))
# without its dependencies: only CUDA uses triton (1 GB)
WHISPER := $(if $(findstring speech-libraries,$(EXTRAS)),openai-whisper==20250625)
endif
INBOXD := $(VENV)/bin/inboxd
MODELS := $(CURDIR)/state/models
export INBOXD_TEST_MODELS ?= $(MODELS)
# The tests of a module run in one process, so that its fixtures are made once, in the order of tests/conftest.py.
BY_MODULE := --dist loadfile --no-loadscope-reorder
# The unit tests need no disk. In memory, where there is space for them (500 MB), they wait for no flush.
IN_MEMORY = $(shell test "$$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 500000 2>/dev/null && echo PYTEST_DEBUG_TEMPROOT=/dev/shm)

.PHONY: help install demo nodes web run check test test-slow crash-points faults states powercut detection lint bench manual clean chaos soak workers systemd memory gpu mutants sidecars member cluster bare-root wheel deb image

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

install: $(INSTALLED)  ## create the virtual environment and install inboxd into it (GPU=yes or no, EXTRAS=)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "inboxd needs Python 3.11 or later; choose one: make PYTHON=python3.12 …")'
	@echo "Installing inboxd$(if $(EXTRAS),[$(EXTRAS)] with $(SIZE)) into $(VENV). This takes minutes."
	$(PYTHON) -m venv $(VENV)
	$(if $(and $(EXTRAS),$(TORCH_INDEX)),$(PIP) --no-deps --extra-index-url $(TORCH_INDEX) torch==2.13.0)
	$(PIP) -e '.[$(EXTRAS)]'
	$(if $(WHISPER),$(PIP) --no-deps $(WHISPER))
	@touch $@

$(DEVELOP): $(INSTALLED)  # the tests and the linter
	$(PIP) -e '.[dev]'
	@touch $@

# CLUSTER=127.0.0.2:6399: on the nodes that `make nodes` starts, and not on this machine itself
CLUSTER ?=
ON_CLUSTER := $(if $(CLUSTER),\n[cluster]\naddress = "$(CLUSTER)"\ntoken_file = "../state/ray-token"\n[devices.cpu]\nuse = false\n)
demo: $(INSTALLED)  ## process the samples: speech, a receipt, a bank statement, pictures, a broken file (CLUSTER=)
	@$(INBOXD) models fetch tiny.en --config samples/demo.toml
	@rm -rf .demo && mkdir -p .demo/inbox && cp -r samples/inbox/. .demo/inbox/
	@cp samples/demo.toml .demo/demo.toml && printf '$(ON_CLUSTER)' >> .demo/demo.toml
	@$(INBOXD) run --drain --config .demo/demo.toml || test $$? -eq 1  # 1: the broken file failed, as expected
	@echo; echo "Results: .demo/outbox. Why a file failed: cat .demo/outbox/failed/*/error.txt. In the browser: make web"

nodes: $(INSTALLED)  ## start three nodes of a Ray cluster on this machine, for `make demo CLUSTER=127.0.0.2:6399`; Ctrl-C stops them
	@$(PIP) -e '.[ray]' && $(VENV)/bin/python samples/nodes.py

web: $(INSTALLED)  ## show the results of `make demo` in the console, which also takes further files; Ctrl-C stops it
	@test -d .demo/state || $(MAKE) --no-print-directory demo
	@trap 'kill $$daemon' EXIT; $(INBOXD) run --config samples/demo.toml & daemon=$$!; $(INBOXD) web --config samples/demo.toml

run: $(INSTALLED)  ## run the daemon in the foreground with ./config.toml; Ctrl-C stops it
	$(INBOXD) run

check: lint  ## lint, and run the unit tests that load no model and start few programs (1.5 minutes on 2 cores)
	$(IN_MEMORY) $(VENV)/bin/python -m pytest -n 2 $(BY_MODULE) -m "not slow and not long and not programs" tests/unit

test: $(DEVELOP)  ## run the unit and integration tests and a short round of each rig; list what was skipped, and why (5 minutes on 2 cores)
	$(VENV)/bin/python -m pytest -rs -n 4 $(BY_MODULE) -m "not slow and not long"  # more processes than cores: they often wait for a daemon

test-slow: $(DEVELOP)  ## run the tests that compute with real models, the console in a browser, and the negative controls of the rigs (7 minutes)
	$(VENV)/bin/python -m pytest -rs -n 4 $(BY_MODULE) -m "slow and not long"


crash-points: $(DEVELOP)  ## kill the daemon between every two changes on the disk, on one and on two file systems, and in groups of results (25 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_crash_points.py

faults: $(DEVELOP)  ## make every system call fail, once and until the cause is removed, and in groups of results (40 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_injected_errors.py

states: $(DEVELOP)  ## compare 10,000 random runs of the daemon with a model (INBOXD_EXAMPLES; an hour)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_state_machine.py

powercut: $(DEVELOP)  ## cut the power 2,000 times on ext4, XFS and btrfs; needs root (INBOXD_CUTS; half an hour)
	$(VENV)/bin/python -m pytest -s -m long --basetemp=$${TMPDIR:-/tmp}/inboxd-powercut tests/reliability/test_power_cut.py  # where no other test run removes the snapshot of a fault

chaos: $(DEVELOP)  ## kill -9 at 10,000 random instants, over 30,000 files (INBOXD_KILLS, INBOXD_SEED; half an hour)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_chaos.py

soak: $(DEVELOP)  ## run one daemon for an hour under mixed load; check its growth (INBOXD_SOAK_MINUTES, INBOXD_SEED)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_soak.py

workers: $(DEVELOP)  ## run workers that crash, hang and flood, and files that are bombs (INBOXD_WORKER_ROUNDS=5; minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_workers.py tests/reliability/test_bombs.py

memory: $(DEVELOP)  ## run the vision-language model until memory runs out (seconds)
	$(VENV)/bin/python -m pytest -s -m long tests/unit/processors/vlm/test_vlm_engine.py

gpu: $(DEVELOP)  ## check a GPU: texts as on the CPU, memory, throughput; writes benchmarks/GPU.md (INBOXD_GPU_SECONDS=480; at most 8 minutes)
	INBOXD_GPU_REPORT=$(CURDIR)/benchmarks/GPU.md $(VENV)/bin/python -m pytest -s -m gpu tests/gpu

detection: $(DEVELOP)  ## drop floods of files, replace folders with links (INBOXD_FILES=100000, INBOXD_SWAPS=3000; 10 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_lost_events.py tests/reliability/test_hostile_neighbors.py

member: $(DEVELOP)  ## attack the service's folders as a member of its group; needs root (INBOXD_SWAPS=10000; 5 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_group_member.py

cluster: $(DEVELOP)  ## kill workers, nodes, the head and the daemon of a Ray cluster under 5,000 files, cut its links, use TLS (INBOXD_FILES, INBOXD_SEED; an hour)
	$(PIP) -e '.[ray]' && $(VENV)/bin/python -m pytest -s -m long tests/reliability/test_cluster_storms.py tests/reliability/test_cluster_tls.py

mutants: $(DEVELOP)  ## mutation testing of the core (INBOXD_MUTANTS=300, INBOXD_SEED; 90 minutes)
	$(VENV)/bin/python tests/mutation/rig.py

sidecars: $(DEVELOP)  ## fuzz sidecars with 10,000 random file trees (INBOXD_EXAMPLES; 10 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_fuzzed_sidecars.py

systemd: $(DEVELOP)  ## test the service on a real systemd, booted in namespaces; needs root (10 minutes)
	$(VENV)/bin/python -m pytest -vv -m "long or not long" tests/systemd

bare-root:  ## follow the README in an empty Debian: install, demo, test; needs root and mmdebstrap (20 minutes)
	tests/bare_root.sh

manual: $(DEVELOP)  ## generate the man page, docs/inboxd.1, from the help texts of the commands
	$(VENV)/bin/python -m daemon.cli.manpage > docs/inboxd.1

lint: $(DEVELOP)  ## run the linter and the type checker, and check the formatting
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

bench: $(DEVELOP)  ## measure intake, throughput and idle cost; writes benchmarks/RESULTS.md (8 minutes)
	$(VENV)/bin/python -m benchmarks.pipeline
	$(VENV)/bin/python -m benchmarks.idle

wheel: $(INSTALLED)  ## build the wheel into dist/
	$(VENV)/bin/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@rm -rf build

deb:  ## build a Debian package of the base into dist/, for this machine's release (EXTRAS=documents)
	packaging/deb.sh

# podman or docker; TORCH: cpu, cuda or none
CONTAINER ?= $(shell command -v podman || command -v docker || echo podman)
TORCH ?= $(if $(filter yes,$(GPU)),cuda,cpu)
# the format of podman's own images has no health check
FORMAT := $(if $(findstring docker,$(notdir $(CONTAINER))),,--format docker)
image:  ## build the container image (TORCH=cpu, cuda or none; see docs/containers.md)
	$(CONTAINER) build $(FORMAT) --build-arg TORCH=$(TORCH) $(IMAGE_OPTIONS) -t localhost/inboxd:$(TORCH) -f container/Containerfile .

clean:  ## remove the demo's folders and the virtual environment; inbox, outbox and state stay
	rm -rf .demo $(VENV) build dist *.egg-info
