# The house: everything is built in .venv from the locks in requirements/. `make help` lists the commands.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
HOST ?= 127.0.0.1
PORT ?= 8080
DATABASE ?= sqlite:///onearm.db
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
# uv installs in seconds what takes pip a minute; where there is none for this platform, pip does.
INSTALL = if [ -x $(VENV)/bin/uv ]; then $(VENV)/bin/uv pip install --quiet --python $(PY) $(1); \
	else $(PY) -m pip install --quiet --disable-pip-version-check $(1); fi
ONEARM = $(call INSTALL,--no-deps --no-build-isolation --editable .)

.PHONY: help run dev test test-all check format bench wheel docs clean lock

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 10

run: $(VENV)/.run  ## start the decision service and say what to try (HOST=127.0.0.1 PORT=8080 DATABASE=sqlite:///onearm.db)
	@$(VENV)/bin/onearm serve --host $(HOST) --port $(PORT) --database $(DATABASE) $(ARGS)

dev: $(VENV)/.dev  ## install what onearm and its tests need into .venv

test: $(VENV)/.dev  ## run the tests, with the JIT off and with it on (ARGS="-k ucb1" selects)
	@$(PY) tests/both_ways.py -m "not slow" $(ARGS)

test-all: $(VENV)/.dev $(VENV)/.docs  ## run the slow tests as well: further policies, settings and examples, long runs, benchmarks, pages
	@$(PY) tests/both_ways.py $(ARGS)

check: $(VENV)/.dev  ## lint, format, types, and the direction of imports
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(PY) -m pytest tests/test_architecture.py

format: $(VENV)/.dev  ## write the code as `make check` wants to see it
	@$(VENV)/bin/ruff check --fix-only .
	@$(VENV)/bin/ruff format .

bench: $(VENV)/.dev  ## measure against C and other libraries, and under load; write the tables of README and docs/
	@$(PY) benchmarks/regret.py
	@$(PY) benchmarks/speed.py
	@$(PY) benchmarks/python_interface.py
	@$(PY) benchmarks/durable.py
	@$(PY) benchmarks/first_answer.py
	@$(PY) benchmarks/service.py || echo "going on without the service's figures"
	@$(PY) benchmarks/neighbours.py || echo "a bystander waited longer than it should, or the machine was busy"
	@$(PY) benchmarks/client.py || echo "the client cost more than it should, or the machine was busy"
	@$(PY) benchmarks/dashboard.py || echo "a page cost more than it should, no browser was found, or the machine was busy"
	@$(PY) benchmarks/soak.py || echo "the service grew, slowed down or erred, or the machine was busy"
	@$(PY) benchmarks/log.py
	@$(PY) benchmarks/sizes.py
	@$(PY) benchmarks/compacting.py
	@$(PY) benchmarks/law.py
	@$(PY) benchmarks/defaults.py
	@$(PY) benchmarks/changes.py
	@$(PY) benchmarks/stationary_logs.py || echo "a change was found where there was none"
	@$(PY) benchmarks/budgets.py
	@$(PY) benchmarks/lives.py || echo "a guard moved too often, or shadows cost too much"
	@$(PY) benchmarks/lists.py || echo "a list cost too much, or earned too little, or the machine was busy"
	@$(PY) benchmarks/closing.py
	@$(PY) benchmarks/contextual.py
	@$(PY) benchmarks/sparse.py
	@$(PY) benchmarks/papers/streaming.py
	@$(PY) benchmarks/papers/sor.py
	@$(PY) benchmarks/solver_speed.py
	@$(PY) benchmarks/papers/oomd.py
	@$(PY) benchmarks/papers/actively_learn.py
	@$(PY) benchmarks/papers/loop.py
	@$(PY) benchmarks/evaluate_speed.py
	@$(PY) benchmarks/propensity_alarms.py
	@$(PY) benchmarks/personalizer_clients.py || echo "a client of Personalizer's was not answered as it should, or the machine was busy"
	@$(PY) benchmarks/dsjson_out.py || echo "going on without Vowpal Wabbit on an exported log"
	@$(PY) benchmarks/cluster_costs.py >/dev/null || echo "going on without PostgreSQL, or a node among several cost more than it should"
	@$(PY) benchmarks/cluster_faults.py >/dev/null || echo "going on without PostgreSQL, or nodes were replaced too late, or erred"
	@$(PY) benchmarks/workers.py >/dev/null || echo "going on without PostgreSQL, or workers cost more than they should"
	@$(PY) benchmarks/publish.py >/dev/null || echo "going on without nats-server, or events were sent too slowly"
	@$(PY) benchmarks/sweep_dask.py >/dev/null || echo "workers of Dask were slower than they should be, or the machine was busy"
	@$(PY) benchmarks/tables.py

wheel: $(VENV)/.dev  ## build the sdist and the wheel into dist/, and try the wheel in empty environments
	@rm -rf dist && mkdir dist
	@$(PY) -c "import sys; sys.path.insert(0, 'build_backend'); import linked; linked.build_sdist('dist'); linked.build_wheel('dist')" >/dev/null
	@ls -l dist
	@$(PY) -m pytest -m release tests/release

docs: $(VENV)/.docs  ## build the documentation site into out/docs/html, and look whether all its links lead somewhere
	@$(PY) docs/site/build.py out/docs

clean:  ## remove what was built: .venv, the peers' environments, caches
	rm -rf $(VENV) .links .peers build dist out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.uv: requirements/uv.lock
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 was found: install one, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(PY) || { echo "building $(VENV) with $(PYTHON)" && $(PYTHON) -m venv $(VENV); }
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock \
		|| echo "uv cannot be installed here: going on with pip, which takes a minute"
	@touch $@

$(VENV)/.run: $(VENV)/.uv requirements/run.lock pyproject.toml
	@echo "installing what onearm needs"
	@$(call INSTALL,--require-hashes -r requirements/run.lock)
	@$(ONEARM)
	@touch $@

$(VENV)/.dev: $(VENV)/.uv requirements/dev.lock pyproject.toml
	@echo "installing what onearm and its tests need"
	@$(call INSTALL,--require-hashes -r requirements/dev.lock)
	@$(ONEARM)
	@touch $@ $(VENV)/.run

$(VENV)/.docs: $(VENV)/.dev requirements/docs.lock
	@echo "installing what builds the documentation"
	@$(call INSTALL,--require-hashes -r requirements/docs.lock)
	@touch $@

# One resolution for Python 3.11 to 3.13 and every platform. run.lock is the part of dev.lock that `make run` needs, with
# what reads tables: who has a log begins with a CSV file.
# UPGRADE=--upgrade takes the newest versions; without it the locked ones stay where they still fit.
COMPILE = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header $(UPGRADE)
lock: $(VENV)/.uv  ## resolve pyproject.toml again into requirements/*.lock (UPGRADE=--upgrade)
	@$(COMPILE) --extra dev pyproject.toml requirements/build.in -o requirements/dev.lock
	@$(COMPILE) --extra logs pyproject.toml requirements/build.in \
		-c requirements/dev.lock -o requirements/run.lock
	@$(COMPILE) --group docs -c requirements/dev.lock -o requirements/docs.lock
	@$(COMPILE) requirements/uv.in -o requirements/uv.lock
