# Everything runs in a virtual environment of its own, .venv, made on first use.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
INBOXD := $(VENV)/bin/inboxd
MODELS := $(CURDIR)/state/models
export INBOXD_TEST_MODELS ?= $(MODELS)

.PHONY: help install demo run test crash-points faults states powercut detection lint bench manual clean chaos soak workers systemd memory mutants sidecars member

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

install: $(INSTALLED)  ## make the virtual environment and install inboxd into it

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "inboxd needs Python 3.11 or later; name one: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED)  ## process the samples: speech, a receipt, a bank statement, pictures, a broken file
	@$(INBOXD) models fetch tiny.en --config samples/demo.toml
	@rm -rf .demo && mkdir -p .demo/inbox && cp -r samples/inbox/. .demo/inbox/
	@$(INBOXD) run --drain --config samples/demo.toml || test $$? -eq 1  # 1: the broken file failed, as it must
	@echo; echo "Results: .demo/outbox. What failed says why: cat .demo/outbox/failed/*/error.txt"

run: $(INSTALLED)  ## the daemon in the foreground, on ./config.toml; Ctrl-C ends it
	$(INBOXD) run

test: $(INSTALLED)  ## all tests (under 5 minutes on 2 cores)
	$(VENV)/bin/python -m pytest -n 4  # more processes than cores: they often wait for a daemon

crash-points: $(INSTALLED)  ## a kill between each two changes of the disk, on one and on two file systems (15 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_crash_points.py

faults: $(INSTALLED)  ## each system call fails, once and until its cause is gone (20 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_injected_errors.py

states: $(INSTALLED)  ## 10,000 random lives of the daemon against a model (INBOXD_EXAMPLES; an hour)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_state_machine.py

powercut: $(INSTALLED)  ## the power is cut 2,000 times (INBOXD_CUTS), on ext4, XFS and btrfs; needs root (half an hour)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_power_cut.py

chaos: $(INSTALLED)  ## 10,000 kill -9 at random instants over 30,000 files (INBOXD_KILLS, INBOXD_SEED; half an hour)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_chaos.py

soak: $(INSTALLED)  ## one daemon for an hour under mixed load: does it grow? (INBOXD_SOAK_MINUTES, INBOXD_SEED)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_soak.py

workers: $(INSTALLED)  ## workers that crash, hang and flood, files that are bombs (minutes; INBOXD_WORKER_ROUNDS=5)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_workers.py tests/reliability/test_bombs.py

memory: $(INSTALLED)  ## the vision-language model where memory truly ends (seconds)
	$(VENV)/bin/python -m pytest -s -m long tests/unit/processors/vlm/test_vlm_engine.py

detection: $(INSTALLED)  ## floods of files, folders swapped for links (INBOXD_FILES=100000, INBOXD_SWAPS=3000; 10 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_lost_events.py tests/reliability/test_hostile_neighbours.py

member: $(INSTALLED)  ## attack the service's folders as a member of its group; needs root (INBOXD_SWAPS=10000; 5 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_group_member.py

mutants: $(INSTALLED)  ## mutation testing of the core (INBOXD_MUTANTS=300, INBOXD_SEED; 90 minutes)
	$(VENV)/bin/python tests/mutation/rig.py

sidecars: $(INSTALLED)  ## fuzz sidecars: 10,000 random file trees (INBOXD_EXAMPLES; 10 minutes)
	$(VENV)/bin/python -m pytest -s -m long tests/reliability/test_fuzzed_sidecars.py

systemd: $(INSTALLED)  ## the service on a real systemd, booted in namespaces; needs root (10 minutes)
	$(VENV)/bin/python -m pytest -vv -m "long or not long" tests/systemd

manual: $(INSTALLED)  ## docs/inboxd.1, the man page, from the commands' own help
	$(VENV)/bin/python -m daemon.cli.manpage > docs/inboxd.1

lint: $(INSTALLED)  ## the linter, and the formatter's opinion
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

bench: $(INSTALLED)  ## measure intake, throughput and the cost of rest; writes benchmarks/RESULTS.md (8 minutes)
	$(VENV)/bin/python -m benchmarks.pipeline
	$(VENV)/bin/python -m benchmarks.idle

clean:  ## remove the demo's folders and the virtual environment; inbox, outbox and state stay
	rm -rf .demo $(VENV) build *.egg-info
