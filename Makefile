# The targets in short: check, test (everything), demo, and the laboratory itself.
# tests/lab/README.md says what the laboratory is and what its options mean.

# Which security modules `make test` runs the laboratory's tests under: selinux, smack, apparmor, none
# or all, each in guests of its own, side by side. Where all are wanted, a test marked `once` runs under
# Smack alone, since SELinux takes up to a minute for each change of its policy; LSMS=selinux has them all.
LSMS ?= all

# Options of test, demo, lab and shell.
TESTS ?=
LSM ?= selinux
RUN ?=
ARGS ?=
WITH ?=
SIZE ?=
PERMISSIVE ?=
SETUP ?=
BARE ?=
KERNEL ?=

# Not whichever Python is first on PATH: this is the one that apt's packages belong to.
PYTHON ?= /usr/bin/python3
VENV := .venv
# Tools whose versions agree with this tree, and the libraries that Debian 13 has. libvirt's own
# binding has to fit the host's library: it is the host's package, see host-tools.
LIBRARIES := pytest==8.3.5 hypothesis==6.130.5 lxml==5.4.0 typer==0.15.2 click==8.1.8 \
	rich==13.9.4 pyyaml==6.0.2 jsonschema==4.19.2
TOOLS := ruff==0.17.6 mypy==2.4.1 $(LIBRARIES) \
	types-PyYAML==6.0.12.20250516 types-jsonschema==4.23.0.20250516
IN_VENV := $(VENV)/bin/python -m

# At how many points of each command `make stress` kills it, and at how many it fails: 20 unless given.
POINTS ?=

# How long `make fuzz` tries each property, in seconds, and by which seed (by chance unless given).
FUZZ ?= 60
SEED ?=
# atheris is compiled for x86_64 alone, and the newest has no Python 3.11: where there is none for
# this machine, examples are not led by what they reach.
FUZZ_VENV := .venv-fuzz
ATHERIS := 'atheris==3.0.0; python_version < "3.12"' 'atheris==3.1.0; python_version >= "3.12"'

LAB := $(PYTHON) -m tests.lab.machine
GUEST := --lsm $(LSM) $(if $(SIZE),--memory $(SIZE)) $(if $(filter-out 0,$(PERMISSIVE)),--permissive) \
	$(if $(filter 0,$(SETUP)),--no-setup) $(if $(filter-out 0,$(BARE)),--bare) \
	$(if $(filter own,$(KERNEL)),--own-kernel)

.DEFAULT_GOAL := help
.PHONY: help check static unit test demo picture screenshot reference lab shell bench stress fuzz deb images clean clean-cache

help:
	@echo 'make check                                ruff, mypy, unit tests'
	@echo 'make test                                 check, and all tests in emulated guests'
	@echo 'make demo  [LSM=selinux|smack]            two containers, and attacks on and from them'
	@echo 'make picture                              README'"'"'s picture of verify, made anew under Smack'
	@echo 'make screenshot [LSM=selinux|smack]       virt-manager with a container, and its picture anew'
	@echo 'make deb                                  the Debian package, in dist/'
	@echo 'make reference                            docs/reference and docs/man, from the code'
	@echo 'make stress                               what takes too long for test, as hours'
	@echo 'make fuzz  [FUZZ=60] [SEED=N]             the part of it that needs no guest: tests/fuzz'
	@echo 'make bench [LSM=selinux|smack]            how long things take, as ratios; here and in a guest'
	@echo 'make bench SCALE=1                        what 10,000 containers take, step by step'
	@echo 'make lab   [LSM=selinux|smack] RUN=FILE   run a script as root in a fresh guest'
	@echo 'make shell [LSM=selinux|smack]            a root shell in a fresh guest'
	@echo 'make clean-cache                          forget all images and kernels'
	@echo 'Options are in tests/lab/README.md.'

check: static unit

static: $(VENV)/.ready
	$(IN_VENV) ruff check
	$(IN_VENV) ruff format --check
	$(IN_VENV) mypy --strict --explicit-package-bases virtsec docs tests/unit
	$(IN_VENV) mypy --strict tests/lab
	$(IN_VENV) mypy --strict --explicit-package-bases tests/fuzz
	MYPYPATH=tests/lab:tests $(IN_VENV) mypy --strict --explicit-package-bases tests/bench
	$(IN_VENV) mypy --strict --explicit-package-bases tests/desktop

unit: $(VENV)/.ready
	$(IN_VENV) pytest -q tests/unit

# The guests' image is built meanwhile: that is most of what takes long the first time.
test: $(VENV)/.ready
	@VIRTSEC_ROUNDS=2000 $(MAKE) --no-print-directory --jobs=3 check images
	$(IN_VENV) pytest tests/lab --lsm $(LSMS) --durations=25 $(if $(filter 0,$(SETUP)),--no-setup) \
		$(TESTS)

demo:
	@$(LAB) run $(GUEST) --with tests/lab/demo tests/lab/demo/run

# README's picture, made anew from what two containers meet; kept only when all was as it should be.
# Under Smack: SELinux lets nobody take on what a container runs with that libvirt starts by itself.
picture:
	@$(LAB) run $(GUEST) --lsm smack --with tests/lab/demo tests/lab/demo/picture.py >docs/verify.svg.new \
		|| { cat docs/verify.svg.new >&2; rm docs/verify.svg.new; exit 1; }
	@mv docs/verify.svg.new docs/verify.svg

# What virt-manager does with a container in a guest; its picture is kept only when all was well.
screenshot:
	@$(PYTHON) -m tests.desktop --lsm $(LSM) docs/virt-manager.png

# What the code says of itself, for people; check fails when it is stale.
reference: $(VENV)/.ready
	@$(IN_VENV) docs.generate

lab:
	@test -n '$(RUN)' || { echo 'make lab: which script? RUN=FILE' >&2; exit 2; }
	@$(LAB) run $(GUEST) $(addprefix --with ,$(WITH)) '$(RUN)' $(ARGS)

shell:
	@$(LAB) shell $(GUEST)

images:
	@$(LAB) images

# Measured, so it is no part of `test`; fails when a ratio is not what it must be.
BENCHMARK := PYTHONPATH=.:tests $(VENV)/bin/python tests/bench/run
bench: $(VENV)/.ready
ifdef SCALE
	@$(BENCHMARK) --scale --to bench-scale-$(LSM).json --lab '$(GUEST)' $(BENCH)
else
	@status=0; $(BENCHMARK) --here --to bench-here.json || status=1; \
	$(BENCHMARK) --to bench-$(LSM).json --lab '$(GUEST)' $(BENCH) || status=1; exit $$status
endif

# What takes too long for `test`.
stress: $(VENV)/.ready fuzz
	VIRTSEC_ROUNDS=20000 $(IN_VENV) pytest -q \
		tests/unit/rootfs/test_rootfs_race.py tests/unit/runtime/test_hook_races.py
	$(IN_VENV) pytest tests/lab --lsm $(LSMS) --stress $(if $(SIZE),--memory $(SIZE)) \
		$(if $(SEED),--seed $(SEED)) $(if $(POINTS),--points $(POINTS)) $(TESTS)

fuzz: $(FUZZ_VENV)/.ready
	$(FUZZ_VENV)/bin/python -m tests.fuzz --seconds $(FUZZ) $(if $(SEED),--seed $(SEED))

deb:
	@$(LAB) deb dist

clean:
	rm -rf $(VENV) $(FUZZ_VENV) dist .fuzz .lab-logs .mypy_cache .pytest_cache .ruff_cache bench-*.json

clean-cache:
	@$(LAB) clean

$(VENV)/.ready: Makefile
	@$(LAB) host-tools
	rm -rf $(VENV)
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(IN_VENV) pip --disable-pip-version-check install --quiet --ignore-installed $(TOOLS)
	@touch $@

$(FUZZ_VENV)/.ready: Makefile
	rm -rf $(FUZZ_VENV)
	$(PYTHON) -m venv $(FUZZ_VENV)
	$(FUZZ_VENV)/bin/python -m pip --disable-pip-version-check install --quiet $(LIBRARIES)
	$(FUZZ_VENV)/bin/python -m pip --disable-pip-version-check install --quiet \
		--only-binary :all: $(ATHERIS) || echo 'There is no atheris for this machine.' >&2
	@touch $@
