# `make` trains and plots; the other targets are in `make help`.

# The newest Python that TensorFlow has packages for. Each is tried by running it: the command of a
# version manager may be there and fail, and Debian's Python may be without venv.
SUITABLE = import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 14))
PYENV = $${PYENV_ROOT:-$$HOME/.pyenv}/versions
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.10 python3 \
	$(PYENV)/3.1[0-3].*/bin/python; \
	do "$$python" -c '$(SUITABLE)' >/dev/null 2>&1 && echo "$$python" && break; done)
PYTHON37 ?= $(shell for python in python3.7 $(PYENV)/3.7.*/bin/python; \
	do "$$python" --version >/dev/null 2>&1 && echo "$$python" && break; done)
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

# The first ones hold runs that others use too.
EXPERIMENTS = diagnostics exercise momentum loss fast learning_rate batch_size depth position width \
	small_batch small_batch_statistics why part why_conv part_conv statistics lengths gain_rates weights \
	paper_rates paper

.PHONY: all help test test-tf1 test-windows-like test-ray test-notebook exercise test-kills test-networks lint gradients matrix fuzz \
	check-requirements benchmark ablation results results-stale clean

all: .venv/installed  ## train the fully connected network without and with batch norm, and plot
	for optimizer in momentum adam; do for batch_norm in --no-batch-norm --batch-norm; do \
		.venv/bin/python fc_train.py --num-batches 1000 --optimizer $$optimizer $$batch_norm || exit; \
	done; done
	.venv/bin/python plot_losses.py
	@echo 'To go on with the commands of README: . .venv/bin/activate'

help:  ## show this
	@sed -n 's/^\([a-z0-9-]*\):.*## /make \1: /p' Makefile

test: .venv/tests-installed  ## run the tests on the newest TensorFlow
	.venv/bin/python -m pytest

test-tf1: .venv-tf1/tests-installed  ## run the tests on TensorFlow 1.15.5 (Python 3.7: PYTHON37=)
	.venv-tf1/bin/python -m pytest

test-windows-like: .venv/tests-installed  ## run every script without what Windows lacks
	.venv/bin/python -m pytest tests/test_machine.py -k windows

test-ray: .venv-ray/tests-installed  ## test compare.py --ray on a Ray cluster of two nodes
	.venv-ray/bin/python $(PIP_INSTALL) ray
	.venv-ray/bin/python -m pytest tests/test_compare_ray.py

test-notebook: .venv/tests-installed  ## run both notebooks; KEEP=1 keeps the solution's outputs (minutes)
	EXERCISE_NOTEBOOK=$(if $(KEEP),write,run) .venv/bin/python -m pytest \
		tests/test_notebooks.py -k exercise

exercise: .venv/installed  ## write exercise.ipynb, for students, from exercise_solution.ipynb
	.venv/bin/python docs/student_notebook.py

test-kills: .venv/tests-installed  ## kill training N times and compare what comes of it (N=30)
	.venv/bin/python tests/kills.py $(or $(N),30)
	test ! -e .venv-tf1/tests-installed || .venv-tf1/bin/python tests/kills.py $(or $(N),8)

test-networks: .venv/tests-installed  ## compare N random networks in several slices (N=100)
	.venv/bin/python tests/random_networks.py $(or $(N),100)
	test ! -e .venv-tf1/tests-installed || .venv-tf1/bin/python tests/random_networks.py $(or $(N),100)

lint: .venv/tests-installed  ## check the style
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .

gradients: .venv/installed  ## check every derived formula by four sources
	.venv/bin/python gradient_check.py

matrix:  ## run both scripts on every TensorFlow release of docs/matrix.md (an hour)
	"$(PYTHON)" tests/matrix.py

fuzz: .venv/tests-installed  ## read N damaged image sets (N=100000), and as many event files
	EXAMPLES=$(or $(N),100000) .venv/bin/python -m pytest -q tests/test_mnist_data_damage.py -k exactly
	.venv/bin/python -m pytest tests/test_event_files.py -k any --hypothesis-profile long

check-requirements: .venv/tests-installed  ## show which TensorFlow each system and Python gets
	.venv/bin/python $(PIP_INSTALL) uv
	.venv/bin/python tests/check_requirements.py

benchmark: .venv/installed  ## compare with the alternatives, and write docs/benchmarks.md (two hours)
	.venv/bin/python benchmarks/run.py --only startup,steps,whole,accuracy,growth,events

ablation: .venv/installed  ## measure what each idea brings, and write docs/ablation.md (an hour)
	.venv/bin/python benchmarks/run.py --only ablation

results: .venv/installed  ## repeat all experiments of docs/results.md (hours); goes on where it was
	for f in $(EXPERIMENTS); do \
		.venv/bin/python compare.py --config docs/results/$$f.json --log-dir runs/results \
			--report-dir docs/results/$$f || exit; \
	done

results-stale: .venv/installed  ## list the experiments that code with other numbers has trained
	@.venv/bin/python docs/stale_results.py

clean:  ## remove the environments; runs stay
	rm -rf .venv .venv-tf1 .venv-ray

.venv/installed .venv-ray/installed: requirements.txt
	@"$(PYTHON)" -c '$(SUITABLE)' >/dev/null 2>&1 || { echo "make: found" \
		"$(or $(PYTHON),no Python that will do), expected Python 3.10 to 3.13 with venv, which" \
		"TensorFlow has packages for: name one with PYTHON=" >&2; exit 2; }
	"$(PYTHON)" -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) -r requirements.txt
	touch $@

.venv-tf1/installed: requirements.txt
	@test -n "$(PYTHON37)" || \
		{ echo "make: found no Python 3.7, which TensorFlow 1.15 needs: name it with PYTHON37=" >&2; exit 2; }
	"$(PYTHON37)" -m venv .venv-tf1
	.venv-tf1/bin/python $(PIP_INSTALL) -r requirements.txt
	touch $@

%/tests-installed: %/installed tests/requirements.txt
	$*/bin/python $(PIP_INSTALL) -r tests/requirements.txt
	touch $@
