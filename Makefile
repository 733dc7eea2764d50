# Every command for people, hooks and CI. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Many container images turn bytecode off. Without it each of the tests' many Python processes compiles
# all that it imports, which doubles the time that it takes to start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# The environment, exactly as locked.
.venv/.synced: requirements/dev.txt requirements/build.txt pyproject.toml
	@python3 -c 'import ensurepip' 2>/dev/null || { echo "installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv; }
	@echo "installing the locked Python packages"
	@test -x .venv/bin/uv || { python3 -m venv --clear .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt; }
	@.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements/dev.txt
	@.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: setup
setup: .venv/.synced ## Install the other commands' requirements.

.PHONY: lock
lock: setup ## Update the locked requirements from pyproject.toml and requirements/*.in.
	for name in build client go hooks llama-cpp-build; do uv pip compile -q --generate-hashes --python-version 3.11.2 requirements/$$name.in -o requirements/$$name.txt; done
	for name in llama-cpp models; do uv pip compile -q --generate-hashes --python-version 3.11.2 --no-deps requirements/$$name.in -o requirements/$$name.txt; done
	uv pip compile -q --generate-hashes --python-version 3.11.2 requirements/audit.in -o requirements/audit.txt
	uv pip compile -q --generate-hashes --python-version 3.11.2 --extra server --extra tracing pyproject.toml -o requirements/operator.txt
	uv pip compile -q --generate-hashes --python-version 3.11.2 --extra server --extra tracing pyproject.toml requirements/dev.in -o requirements/dev.txt

.PHONY: lock-debian
lock-debian: setup ## Update the Debian packages of the released image.
	python -m release lock

.PHONY: generate
generate: setup ## Generate files from the models and the locks (CRDs, reference, OpenAPI, licences).
	python -m aichat_workspace.generate
	python -m release licences

# The generator has its own environment; requirements/client.in gives the reason.
GENERATOR := build/generator
.PHONY: client
client: setup ## Write a typed Python client of the API into build/client.
	uv venv --quiet --clear --python .venv/bin/python $(GENERATOR)
	uv pip sync --quiet --python $(GENERATOR)/bin/python --require-hashes requirements/client.txt
	PATH=$(CURDIR)/$(GENERATOR)/bin:$$PATH openapi-python-client generate --path docs/openapi.json \
	  --meta none --output-path build/client/aichat_client --overwrite --fail-on-warning
	@echo "try it: PYTHONPATH=build/client $(GENERATOR)/bin/python examples/create_and_ask.py --help"

.PHONY: clients
clients: client ## Write and compile typed clients in Python, TypeScript and Go (needs npm and go).
	mkdir -p build/clients && cp -r clients/typescript clients/go build/clients/
	python hack/openapi_3_0.py docs/openapi.json build/clients/openapi-3.0.json
	cd build/clients/typescript && npm ci --silent \
	  && npx openapi-typescript ../../../docs/openapi.json --default-non-nullable=false -o schema.d.ts \
	  && npx tsc
	cd build/clients/go && mkdir -p aichat \
	  && go tool oapi-codegen -config oapi-codegen.yaml ../openapi-3.0.json \
	  && go build -o story .
	@echo "try them: build/clients/typescript/dist/story.js, build/clients/go/story"

.PHONY: lint
lint: setup ## Check format, lint, types, import contracts, generated files.
	ruff format --check .
	ruff check .
	mypy
	mypy hack/picture.py hack/recording.py
	mypy config/smoke-test/smoke_test.py
	lint-imports
	python -m aichat_workspace.generate --check
	python -m release licences --check
	zizmor --offline --quiet .github
	@mkdir -p build; pytest --setup-plan -q tests/integration tests/e2e tests/airgapped tests/faults tests/soak tests/demo tests/node_failures tests/clients tests/release >build/fixtures 2>&1 \
	  || { cat build/fixtures; echo "a test needs a fixture that does not exist"; exit 1; }

# The scanners have their own environment; requirements/audit.in gives the reason.
AUDIT := build/audit
$(AUDIT)/.synced: .venv/.synced requirements/audit.txt
	uv venv --quiet --clear --python .venv/bin/python $(AUDIT)
	uv pip sync --quiet --python $(AUDIT)/bin/python --require-hashes requirements/audit.txt
	@touch $@
.PHONY: audit
audit: $(AUDIT)/.synced ## Run the slow scanners: actionlint, bandit, checkov, and pip-audit where its data can be had.
	hack/audit $(AUDIT)/bin

.PHONY: hooks
hooks: setup ## Install git hooks that run lint before a commit and the unit tests before a push.
	@test -x build/hooks/bin/pre-commit || { uv venv --quiet --clear --python .venv/bin/python build/hooks \
	  && uv pip sync --quiet --python build/hooks/bin/python --require-hashes requirements/hooks.txt; }
	build/hooks/bin/pre-commit install

.PHONY: format
format: setup ## Format the code.
	ruff format .
	ruff check --fix .

.PHONY: test-unit
test-unit: setup ## Run the fast tests: they need nothing else.
	pytest tests/unit -n auto

# Tests that share a resource run one after the other, in the order of tests/groups.py.
GROUPED := --dist loadgroup --no-loadscope-reorder
.PHONY: test-integration
test-integration: setup ## Run tests against a real API server, built from source the first time.
	python -m localcluster install --name e2e chromium
	python -m localcluster build
	@python -m localcluster tool helm >/dev/null
	@python -m localcluster tool versitygw >/dev/null
	@python -m localcluster tool dex >/dev/null
	pytest tests/integration -m "not slow" -n 4 $(GROUPED)

.PHONY: test-e2e
test-e2e: setup ## Run tests on a real node: real pods, a real model, a real browser.
	python -m localcluster install --name e2e chromium
	pytest tests/e2e -m "not slow" -n 3 $(GROUPED)

.PHONY: bench
bench: setup ## The operator beside a null writer, as ratios; BENCH="-n 50 -o json" for less.
	@python -m localcluster build
	@python -m localcluster tool kwok >/dev/null
	@python -m benchmarks compare $(BENCH)

.PHONY: bench-api
bench-api: setup ## Measure the API: some minutes, a control plane of its own, load on loopback only.
	python -m localcluster build
	python -m benchmarks api

.PHONY: bench-operator
bench-operator: setup ## Measure the operator: some minutes, a control plane of its own, no nodes.
	python -m localcluster build
	python -m benchmarks operator

.PHONY: test
test: setup ## Run all tests that a change must pass.
	hack/test

.PHONY: test-all
test-all: test ## Run test, then the slower tests: faults, node failures, a release, scanners, the demos.
	hack/test-all

export SOAK SOAK_WORKSPACES
export VERSION IMAGE BUILDER
.PHONY: freeze
freeze: setup ## Write what the version of pyproject.toml promises, for later ones to be checked against; AGAIN=yes before it is out.
	python -m release freeze "$$(sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)" $(if $(AGAIN),--again)

.PHONY: release
release: setup ## Build a release of this commit into build/release: make release VERSION=1.2.3
	@test -n "$$VERSION" || { echo "VERSION is missing: make release VERSION=$$(sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)" >&2; exit 2; }
	python -m release build "$$VERSION" --image "$$IMAGE" --builder "$$BUILDER"

export MODELS IMAGES ARCHITECTURES MODEL_REGISTRY
.PHONY: bundle
bundle: setup ## One file of a release, images and models, for a site without internet: docs/airgapped.md.
	@test -n "$$VERSION" || { echo "VERSION is missing: make bundle VERSION=$$(sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml) MODELS=llama3.2:1b,nomic-embed-text" >&2; exit 2; }
	python -m release bundle "$$VERSION" --models "$$MODELS" --images "$$IMAGES" \
	  $${ARCHITECTURES:+--architectures "$$ARCHITECTURES"} $${MODEL_REGISTRY:+--model-registry "$$MODEL_REGISTRY"}

.PHONY: publish
publish: ## Push and sign what release built; the forge's workflow does it.
	hack/publish

.PHONY: soak
soak: setup ## Work on SOAK_WORKSPACES (50) for SOAK seconds (3600); nothing may leak.
	python -m localcluster build
	pytest tests/soak -s

.PHONY: cluster-up cluster-down cluster-status cluster-logs
cluster-up: setup ## Start a real one-node cluster here; with FULL=no its control plane only.
ifeq ($(FULL),no)
	python -m localcluster up
else
	python -m localcluster install
	python -m localcluster up --full
endif
cluster-down: setup ## Stop the local cluster and remove all its files.
	python -m localcluster down
cluster-status: setup ## Show the running parts and their addresses.
	python -m localcluster status
cluster-logs: setup ## Print a component's log: make cluster-logs COMPONENT=kube-apiserver
	python -m localcluster logs $(or $(COMPONENT),kube-apiserver)

export CLUSTER IMAGE_REGISTRY BASE_IMAGE PULL_SECRET
.PHONY: demo demo-down
demo: setup ## From nothing to a reply here; or: make demo CLUSTER=existing [IMAGE_REGISTRY=…]
	hack/demo
demo-down: setup ## Remove the demo's objects (with the same CLUSTER).
	hack/demo-down

.PHONY: deploy
deploy: setup ## Deploy to an environment: ENV=staging; CRDS=keep and BACK=yes: docs/deploying.md.
	@[ -n "$(ENV)" ] || { echo "which environment? make deploy ENV=staging"; exit 2; }
	@python -m deploy to "$(ENV)" $(if $(ENVIRONMENTS),--folder "$(ENVIRONMENTS)") $(if $(filter keep,$(CRDS)),--keep-crds) $(if $(filter yes,$(BACK)),--back)

.PHONY: picture
picture: setup ## Draw the README's pictures of real runs again, on the demo's node.
	python -m localcluster install --name demo chromium fonts-jetbrains-mono
	python hack/picture.py
	python hack/recording.py

.PHONY: console-pictures
console-pictures: setup ## Draw the pictures of docs/console.md again, from a real API server.
	python -m localcluster install --name e2e chromium
	python -m localcluster build
	CONSOLE_PICTURES=docs/images pytest -n 0 tests/integration/api/test_console_pictures.py

.PHONY: docs docs-build
docs: setup ## Serve the documentation site here; it follows edits.
	python -m docsite serve
docs-build: setup ## Build the documentation site into build/site, and check it.
	rm -rf build/site
	python -m docsite pages
	zensical build --strict --config-file build/mkdocs.yml
	python -m docsite check

.PHONY: api
api: setup ## Run the API here, against the cluster of $KUBECONFIG.
	@printf '%s\n' "The API: http://127.0.0.1:$${API_PORT:-8090}/api/v1/workspaces (description: /openapi.json)." \
	  "A token, for a service account with workspace rights in its namespace:" \
	  "  kubectl -n aichat-workspace-operator-system create token NAME --audience $${API_AUDIENCE:-aichat-workspace-api}" \
	  "Send it as: -H \"Authorization: Bearer \$$TOKEN\". Ctrl-C ends it."
	ENV=dev aichat-workspace-api

.PHONY: run
run: setup ## Run the operator here, against the cluster of $KUBECONFIG.
	ENV=dev aichat-workspace-operator
