# Two commands do everything: `make demo` and `make test`. Both set up .venv first, once.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
STAMP := .venv/.installed
# Test processes; each takes some 1.5 GB and one core.
WORKERS ?= 2

.PHONY: demo test test-slow wheel lint setup pipeline offline clean

demo: $(STAMP)
	@PATH="$(BIN):$$PATH" skinlesion demo examples/phantom

test: $(STAMP)
	@OMP_NUM_THREADS=1 PATH="$(BIN):$$PATH" pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP)
	@HYPOTHESIS_PROFILE=default PATH="$(BIN):$$PATH" pytest -q -m slow

# A wheel and an sdist; the wheel installs in an environment of its own, without torch, and compares two files there.
wheel: $(STAMP)
	@rm -rf build/wheel && mkdir -p build/wheel
	@PATH="$(BIN):$$PATH" python -m build --outdir build/wheel . > build/wheel/build.log 2>&1 || { tail -20 build/wheel/build.log; exit 1; }
	@$(PYTHON) -m venv build/wheel/bare
	@build/wheel/bare/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt build/wheel/*.whl
	@PATH="$(BIN):$$PATH" python tests/wheel.py build/wheel/bare/bin/skinlesion build/wheel/page.html

lint: $(STAMP)
	@PATH="$(BIN):$$PATH" ruff check . && PATH="$(BIN):$$PATH" ruff format --check . && PATH="$(BIN):$$PATH" mypy

# DVC reads no link in another revision: examples/offline has a copy of dvc.yaml, which `dvc metrics diff` needs.
pipeline: $(STAMP)
	@cp dvc.yaml examples/offline/dvc.yaml

offline: pipeline
	@cd examples/offline && PATH="$(BIN):$$PATH" dvc repro
	@echo "Done. Open examples/offline/reports/report.html."

setup: $(STAMP)

# Installs again only when what is to be installed changed.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv \
		|| { echo "No virtual environment could be made: install python3-venv, or give PYTHON=..."; exit 2; }
	@echo "Installing into .venv (about 7 GB with the CUDA build of torch, some minutes, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[offline,dev]'
	@touch $(STAMP)

# Runs every speed benchmark and writes what they print into docs/SPEED.md (minutes, on an idle machine).
.PHONY: speed readme
speed: $(STAMP)
	@PATH="$(BIN):$$PATH" python benchmarks/speed.py

# Writes the results table of examples/offline into the README, its answer to whether metadata helps into
# docs/metadata.md, and its model cards and figures into docs/offline.
FIGURES := claims differences leader_board assessment_1 assessment_2 assessment_3 assessment_4 assessment_5 assessment_6
readme: $(STAMP)
	@cd examples/offline && PATH="$(BIN):$$PATH" dvc repro -q && PATH="$(BIN):$$PATH" skinlesion report --readme ../../README.md
	@cp examples/offline/reports/effect/metadata.md docs/metadata.md
	@{ printf '# Results\n\nWritten by `make readme` from `examples/offline`: HAM10000, backbones whose weights install with pip.\n\n'; cat examples/offline/reports/results.md; } > docs/RESULTS.md
	@rm -rf docs/offline && mkdir -p docs/offline/figures
	@cp -r examples/offline/reports/cards docs/offline/
	@sed -i 's/\[\([^]]*\)\](\.\.\/[^)]*)/`\1`/g' docs/offline/cards/*.md  # files of the report are not in the documentation
	@for name in $(FIGURES); do cp examples/offline/reports/figures/$$name.svg docs/offline/figures/; done

# The documentation as a site, in build/site: open build/site/index.html. Pages that show outputs and figures are renewed.
DOCS_STAMP := .venv/.docs
.PHONY: docs
docs: $(DOCS_STAMP)
	@PATH="$(BIN):$$PATH" python docs/site/outputs.py && PATH="$(BIN):$$PATH" python docs/site/pictures.py
	@NO_MKDOCS_2_WARNING=1 PATH="$(BIN):$$PATH" mkdocs build --strict -f docs/site/mkdocs.yml
	@echo "Done. Open build/site/index.html."

$(DOCS_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $(DOCS_STAMP)

# Opens what people are sent in a real browser (Qt WebEngine, some 250 MB, once): the page of a comparison made by the
# installed wheel, the pages of the phantom, and the documentation.
BROWSER_STAMP := .venv/.browser
.PHONY: pages
pages: $(BROWSER_STAMP) wheel demo docs
	@$(BIN)/python tests/browser.py build/wheel/page.html examples/phantom/reports/*.html examples/retest/retest.html docs/fine_tuned/*.html build/site

$(BROWSER_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	@touch $(BROWSER_STAMP)

clean:
	rm -rf .venv
