# Bootstraps .venv, then calls the real tool. Needs make, git and Python 3.11, 3.12 or 3.13.
PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
# the library is used from src/ as it lies; one thread a job unless a rule says otherwise
export PYTHONPATH := $(CURDIR)/src
export PATH := $(CURDIR)/$(BIN):$(PATH)
# byte code is kept, whatever the environment says: hundreds of jobs import the same
unexport PYTHONDONTWRITEBYTECODE

.PHONY: tables figures claims report all status plan rehearse test cluster lint options lock publish clean-venv
.DELETE_ON_ERROR:

tables figures claims report all: $(VENV)/.complete
	snakemake --cores $(CORES) $@

# in as many processes as there are cores; WORKERS=0: in this one, for a debugger
WORKERS ?= logical
test: $(VENV)/.complete
	pytest -n $(WORKERS)

# Plugins that submit jobs (docs/cluster.md): what they need besides is in the environment.
cluster: $(VENV)/.complete
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements-cluster.lock

lint: $(VENV)/.complete
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint

# Byte-compiled once here: start-up is much of a small job's time. uv where there is one, else pip.
$(VENV)/.complete: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and f"error: $(PYTHON) is Python {sys.version.split()[0]}, expected 3.11, 3.12 or 3.13 (make PYTHON=python3.12 ...)")'
	$(PYTHON) -m venv --clear $(VENV)
	if command -v uv >/dev/null; then \
	  uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock; \
	else \
	  $(BIN)/python -m pip install --quiet --require-hashes --compile -r requirements.lock; \
	fi
	$(BIN)/python -c 'import snakemake, torch'
	touch $@

# What follows from the classes of options: schemas for editors, the tables of docs/configuration.md.
options: $(VENV)/.complete
	python -m pagboost.options.documents

# New pins from pyproject.toml: hashes, no index addresses.
lock:
	uv pip compile pyproject.toml --extra test --extra lint --extra extractors --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --quiet --output-file requirements.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["cluster"], sep="\n")' | \
	  uv pip compile - --no-deps --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --quiet --output-file requirements-cluster.lock

clean-venv:
	rm -rf $(VENV)

# What runs, what failed, what is left, of a run in another terminal or on a cluster; python src/status.py --json for programs.
SCALE ?= digits
RESULTS ?= results/$(SCALE)
status: $(VENV)/.complete
	@python src/status.py $(RESULTS)

# Rule by rule: jobs, GPU-hours, GB to fetch, GB on disk, memory. PLAN="--seeds 0 --papers golan2024": of a part.
PLAN ?=
plan: $(VENV)/.complete
	@python src/plan.py $(SCALE) $(PLAN)

# The whole DAG of a scale at full width, on a CPU, of a few made-up images and weights (docs/imagenet.md). Nothing is
# downloaded; all of it lies in one folder. REHEARSE="--papers golan2024 --narrow": of a part, of few channels.
REHEARSAL ?= results/$(SCALE)_rehearsal
REHEARSE ?=
MEMORY ?= 12000
rehearse: $(VENV)/.complete
	python src/rehearse.py $(SCALE) --out $(REHEARSAL) $(REHEARSE)
	snakemake --cores $(CORES) fetch --configfile $(REHEARSAL)/rehearsal.yaml
	snakemake --cores $(CORES) --resources mem_mb=$(MEMORY) all --configfile $(REHEARSAL)/rehearsal.yaml
	python benchmarks/dag_cost.py $(REHEARSAL)

# Copies a finished run's tables, claims and figures, with provenance, to where they are committed.
# PAPERS, TRAININGS: those of the run.
PAPERS ?= golan2024 ganz2021 kawar2023
TRAININGS ?= 0
publish: $(VENV)/.complete
	python src/publish.py --paper $(PAPERS:%=config/papers/%.yaml) --results results/$(SCALE) --trainings $(TRAININGS) \
	  --config config.yaml config/scales/$(SCALE).yaml --unavailable config/scales/$(SCALE).yaml \
	  --without config/scales/$(SCALE).yaml --out results/published/$(SCALE)
