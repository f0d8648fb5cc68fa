# `make` explains itself. Everything happens in .venv; nothing outside this folder is touched, but for one thing: as root on
# Debian, the tests install SLURM and Neovim. ESP3C_INSTALL_SLURM=0 and ESP3C_INSTALL_EDITORS=0 prevent it; the tests that
# need what is not there are skipped.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
CLUSTERS ?= 3
STAGES ?= all

# What ESPnet2's recognition imports, trains and decodes with, and the environment does not have.
ESPNET := ci_sdr decorator editdistance einops espnet-g2p-en espnet-tts-frontend fast_bss_eval h5py humanfriendly inflect \
          jaconv jamo jaraco.functools joblib kaldiio lazy_loader librosa llvmlite more_itertools msgpack nltk numba opt_einsum \
          pooch regex scipy torch-complex typeguard unidecode

.DEFAULT_GOAL := help
.PHONY: help demo test lint unit editors cluster slurm bench docs grammar format clean

help: ## show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/run.stamp ## train the quick-start recipe and print its error rate
	$(BIN)/esp3c run recipes/spoken_digits/recipe.esp --stages $(STAGES)

test: lint unit editors cluster ## everything that has to pass: lint, types, layers, tests

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/make_pages.py --check
	$(BIN)/python grammar/make_tables.py --check
	$(BIN)/python grammar/make_editors.py --check

unit: $(VENV)/dev.stamp $(VENV)/espnet.stamp
	$(BIN)/python tests/slurm/install.py --try
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slurm and not editors"

editors: $(VENV)/dev.stamp ## the tests with real editors and shells: Neovim, the VS Code extension, zsh, fish
	$(BIN)/python tests/editors/install.py --try
	$(BIN)/python -m pytest -n $(JOBS) -m editors tests

# They wait most of their time, each worker with a cluster of its own. What fails is run once more, alone: these are real daemons
# with deadlines, on a machine that others may use as well. The first failure stays in what is printed.
cluster: $(VENV)/dev.stamp ## the tests on a real SLURM, which is started for them
	$(BIN)/python tests/slurm/install.py --try
	$(BIN)/python -m pytest -n $(CLUSTERS) --dist loadfile -m slurm tests/slurm || \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none -m slurm tests/slurm

slurm: $(VENV)/dev.stamp ## install the SLURM of the tests (Debian, as root)
	$(BIN)/python tests/slurm/install.py

bench: $(VENV)/dev.stamp ## print the measurements, each against a reference in the same run
	$(BIN)/python tests/bench/check_speed.py
	$(BIN)/python tests/bench/startup.py
	$(BIN)/python tests/bench/typing_speed.py --edits 10000
	$(BIN)/python tests/bench/shards.py
	$(BIN)/python tests/bench/cluster.py
	$(BIN)/python tests/bench/cluster_status.py
	$(BIN)/python tests/bench/mistakes/run.py

docs: $(VENV)/dev.stamp ## write the pages that are made from the code
	$(BIN)/python docs/make_pages.py

grammar: $(VENV)/dev.stamp ## write what is made from the grammar and its words: tables, editors' syntaxes
	$(BIN)/python grammar/make_tables.py
	$(BIN)/python grammar/make_editors.py

format: $(VENV)/dev.stamp ## format the Python
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the virtual environment and what tools left behind
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

# transformers and speechbrain come without what they need, and out of the way: tests read their sources and import nothing.
# What is compiled here need not be compiled at every start, where the environment asks for no bytecode.
# torch first and pinned, so that no other package chooses its build.
$(VENV)/torch.stamp: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("esp3c needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	touch $@

$(VENV)/run.stamp: $(VENV)/torch.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[espeak]'
	$(BIN)/python -m compileall -q compiler
	touch $@

# ESPnet2 stands apart as well, and without its metadata's wishes: it asks for an older setuptools than torch takes, and a
# torchaudio that others import as soon as they find it.
$(VENV)/espnet.stamp: $(VENV)/torch.stamp tests/support/espnet.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/espnet $$(grep -E '^(espnet|torchaudio)==' constraints.txt) $(ESPNET)
	$(BIN)/python tests/support/espnet.py $(VENV)/espnet
	touch $@

$(VENV)/dev.stamp: $(VENV)/torch.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[espeak,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/read $$(grep -E '^(transformers|speechbrain)==' constraints.txt)
	$(BIN)/python -m compileall -q compiler
	touch $@
