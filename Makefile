# A new user needs only `make demo` and `make test`; both create .venv first. `make help` lists the rest.
.PHONY: help demo objectives test slow extras parity lint ci multiprocess torture claim tpu-compile real_data trackers wheel docs pictures requirements clean
.DEFAULT_GOAL := help

PYTHON ?=# interpreter that creates .venv; empty: the newest of 3.13, 3.12, 3.11 that runs
PY := .venv/bin/python

help: ## show this list
	@grep -hE '^[a-z_-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

# The stamp is touched last, so that an interrupted install is repeated. Candidates are run rather than only looked up,
# because a pyenv shim `python3.12` exists even where that version is not selected.
.venv/installed: requirements.txt
	@set -e; \
	for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	  if $$python -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	    echo "installing into .venv with $$($$python --version) ($$python)"; \
	    rm -rf .venv; $$python -m venv .venv; \
	    .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt; \
	    touch .venv/installed; exit 0; \
	  fi; \
	done; \
	echo 'no Python from 3.11 to 3.13 found; install one, or name it: make PYTHON=/path/to/python3.12' >&2; exit 2

.venv: .venv/installed ## create only the environment

DEMO := runs/demo
TRAIN := $(PY) -m learner_jax.main --config configs/demo.py

demo: .venv/installed ## synthetic cohort -> three arms -> scores -> report; 5 to 8 minutes on 2 cores
	$(PY) -m tfds_builders.build synthetic_lus --data_dir data/demo --n_patients 300
	$(TRAIN) --workdir $(DEMO)/combined --config.objective.name learner_combined
	$(TRAIN) --workdir $(DEMO)/contrastive --config.objective.name learner
	$(TRAIN) --workdir $(DEMO)/mse --config.objective.name mse
	$(PY) -m learner_jax.evaluate --workdir $(DEMO)
	$(PY) -m learner_jax.report $(DEMO)

objectives: .venv/installed ## train on the demo's cohort with every objective; about 40 minutes on 2 cores, resumable
	test -f data/demo/dataset_info.json || $(PY) -m tfds_builders.build synthetic_lus --data_dir data/demo --n_patients 300
	$(PY) -m benchmarks.every_objective --data data/demo --out runs/objectives

test: .venv/installed ## run the default suite; 9 to 23 minutes on 2 cores if JAX has compiled nothing yet
	$(PY) -m pytest -n 2 --dist worksteal -m "not slow and not parity and not multiprocess and not real_data and not gpu"

slow: .venv/installed ## run what takes minutes: all backbones, objectives, docs/adni.md; by hand (kills: make torture)
	$(PY) -m pytest -n 2 --dist worksteal -m slow tests --ignore tests/test_kills.py --ignore tests/test_train.py

multiprocess: .venv/installed ## run the tests of several processes on loopback
	$(PY) -m pytest -n 2 -m multiprocess tests/multiprocess tests/launch

torture: .venv/installed ## send 50 SIGKILLs during saves and 20 during training, run 200 steps twice; by hand
	LEARNER_KILLS=50 $(PY) -m pytest -s -m "not slow" tests/test_kills.py
	LEARNER_KILLS=20 $(PY) -m pytest -s -m slow tests/test_kills.py tests/test_train.py

claim: .venv/installed ## test whether contrast between patients orders change within one, and draw the board; by hand
	$(PY) -m learner_jax.sweep run configs/sweeps/claim.py --out runs/claim --workers 2
	$(PY) -m learner_jax.sweep choose configs/sweeps/claim.py --out runs/claim > runs/claim/chosen.txt
	$(PY) -m learner_jax.sweep run configs/sweeps/claim.py --out runs/claim --workers 2 --final runs/claim/chosen.txt
	$(PY) -m learner_jax.sweep board runs/claim

real_data: .venv/installed ## run the tests on the real scans in LEARNER_REAL_DATA; skipped if there are none
	JAX_NUM_CPU_DEVICES=1 $(PY) -m pytest -n 2 -m real_data tests/real_data

extras: .venv/installed ## test Apache Beam, a bucket's emulator, SLURM, Croissant and launch files; by hand
	$(PY) -m venv .venv-extras
	.venv-extras/bin/pip install --quiet --disable-pip-version-check -e '.[beam,gcs,slurm,test,test-extras]'
	.venv-extras/bin/python -m pytest -W ignore tests/tfds_builders/test_shards.py tests/tfds_builders/test_card.py \
	  tests/tfds_builders/test_remote.py tests/test_bucket.py tests/launch tests/sweep/test_slurm.py

trackers: .venv/installed ## test Weights & Biases, MLflow and TensorBoard offline; by hand, into .venv-trackers
	$(PY) -m venv .venv-trackers
	.venv-trackers/bin/pip install --quiet --disable-pip-version-check -e '.[mlflow,test,wandb]' tensorboard
	.venv-trackers/bin/python -m pytest tests/report/trackers

parity: .venv/installed ## compare with published implementations (PyTorch, about 1 GB); by hand, into .venv-parity
	$(PY) -m venv .venv-parity
	.venv-parity/bin/pip install --quiet --disable-pip-version-check -e '.[parity,test]'
	XLA_FLAGS= .venv-parity/bin/python -m pytest -W ignore -m parity

tpu-compile: .venv/installed ## compile the steps for TPU slices without a TPU (libtpu, 0.5 GB); by hand, into .venv-tpu
	$(PY) -m venv .venv-tpu
	.venv-tpu/bin/pip install --quiet --disable-pip-version-check -e '.[tpu]'
	.venv-tpu/bin/python -m benchmarks.tpu_compile

wheel: .venv/installed ## build sdist and wheel into dist/, and try the wheel's commands outside the checkout
	tests/installed/wheel.sh $(PY)

docs: .venv/installed ## build the site into build/docs; any warning fails
	$(PY) -m sphinx -q -E -W --keep-going -c docs . build/docs

pictures: ## copy the pictures of README and docs from the outputs of the quick start
	cp data/tiny/contact_sheet.png $(foreach name,distance psychometric trajectories,runs/tiny/report/$(name).svg) docs/pictures/

lint: .venv/installed ## check lint and format with ruff
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

ci: test lint multiprocess docs wheel real_data ## run what every change must pass

COMPILE := uv pip compile --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
  --no-emit-find-links pyproject.toml

requirements: ## resolve pyproject.toml again for all Python versions (needs uv)
	(sed -n '/^#/p' requirements.txt; $(COMPILE) --extra test | grep -v "'pypy'") > requirements.new
	mv requirements.new requirements.txt
	for kind in gpu tpu; do \
	  (sed -n '/^#/p' requirements-$$kind.txt; $(COMPILE) --extra $$kind --constraint requirements.txt) \
	    > requirements.new && mv requirements.new requirements-$$kind.txt || exit 1; \
	done

clean: ## remove what the demo and `make wheel` built
	rm -rf data/demo $(DEMO) dist
