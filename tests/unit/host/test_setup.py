"""What `virtsec setup` and `virtsec setup --remove` promise."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from lxml import etree

from tests.unit.host.host_fakes import Machine, broken_domain, foreign_domain
from virtsec.domain.records import DomainRecord
from virtsec.errors import Failed, HostNotReady, Refused
from virtsec.host.checks import check_ready, hook, installed, readiness
from virtsec.host.files import MARK, staging_of
from virtsec.host.setup import setup
from virtsec.runtime import CONTROLLER_MODULES, HOOK_MODULES
from virtsec.step import Step, execute

MODULES = sorted({*HOOK_MODULES, *CONTROLLER_MODULES})
STEPS = range(2 * len(MODULES) + 15)  # each of what setup plans


def canonical(xml: str) -> str:
    return str(etree.canonicalize(xml, strip_text=True))


def run(machine: Machine, **options: Any) -> list[str]:
    done = setup(machine.host, places=machine.places, **options)
    return [step.describe() for step in done.steps]


def test_setup_installs_hook_and_controller_as_roots_own_executables(machine: Machine) -> None:
    run(machine)
    for path in (machine.places.hook, machine.places.controller):
        status = path.lstat()
        assert stat.S_ISREG(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o755
        assert status.st_uid == machine.places.uid
    assert machine.places.hook.read_bytes() == hook(machine.places).content
    assert MARK in hook(machine.places).content
    assert hook(machine.places).content.startswith(b"#!/usr/bin/python3")


@pytest.mark.parametrize("name", MODULES)
def test_what_hook_and_controller_import_is_not_compiled_at_each_start(
    machine: Machine, name: str
) -> None:
    """Python says what it reads; what was compiled of another source it does not use."""
    run(machine)
    script = f"__path__ = [{str(machine.places.modules)!r}]; import __main__.{name}"
    words = (sys.executable, "-IBSv", "-c", script)
    kept = f"code object from {str(machine.places.compiled / name)!r}"[:-1]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    assert kept in said
    source = machine.places.modules / f"{name}.py"
    source.write_bytes(source.read_bytes() + b"# more\n")
    said = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    assert kept not in said


def test_nothing_is_left_of_a_setup_that_was_killed(machine: Machine) -> None:
    run(machine)
    for path in (*machine.places.modules.glob("*.py"), *machine.places.compiled.iterdir()):
        staging_of(path).write_bytes(b"half of it")
    run(machine, remove=True)
    assert not machine.places.modules.exists()


def test_what_an_older_python_kept_goes(machine: Machine) -> None:
    run(machine)
    (kept,) = machine.places.compiled.glob("confine.*")
    old, foreign = (machine.places.compiled / f"confine.{name}.pyc" for name in ("old", "foreign"))
    old.write_bytes(kept.read_bytes())
    foreign.write_bytes(b"")
    assert run(machine) == [f"remove {old}"]
    assert foreign.exists()


def test_what_an_older_version_imported_goes(machine: Machine) -> None:
    run(machine)
    kept = machine.places.modules / "confine.py"
    old, foreign = (kept.with_name(name) for name in ("old.py", "foreign.py"))
    old.write_bytes(kept.read_bytes())
    foreign.write_bytes(b"")
    assert run(machine) == [f"remove {old}"]
    old.write_bytes(kept.read_bytes())
    run(machine, remove=True)
    assert list(machine.places.modules.iterdir()) == [foreign]


def test_nothing_of_ours_is_left_in_run(machine: Machine) -> None:
    run(machine)
    assert machine.places.runtime.is_dir()
    run(machine, remove=True)
    assert not machine.places.runtime.exists()


def test_the_store_can_be_entered_but_not_listed_by_others(machine: Machine) -> None:
    run(machine)
    assert stat.S_IMODE(machine.places.store.stat().st_mode) == 0o711


def test_policy_comes_before_the_files_it_labels(machine: Machine) -> None:
    steps = run(machine)
    assert steps[0] == "load the base policy"
    assert str(machine.places.hook) in map(str, machine.mac.restored)
    assert str(machine.places.controller) in map(str, machine.mac.restored)


def test_what_was_cut_off_before_it_was_labelled_is_labelled(machine: Machine) -> None:
    run(machine)
    astray = {PurePosixPath(path) for path in (machine.places.controller, machine.places.settings)}
    machine.mac.astray |= astray
    first = PurePosixPath(machine.places.settings)
    assert run(machine) == [f"restore the label of {first} and 1 more"]
    assert machine.mac.astray == set()
    assert run(machine) == []


def test_a_second_setup_plans_nothing_and_changes_nothing(machine: Machine) -> None:
    run(machine)
    before = machine.snapshot()
    machine.libvirt.done.clear()
    machine.reloads.clear()
    assert run(machine) == []
    assert machine.snapshot() == before
    assert machine.libvirt.done == []
    assert machine.reloads == []


def test_a_dry_run_changes_nothing(machine: Machine) -> None:
    before = machine.snapshot()
    assert run(machine, dry_run=True)
    assert machine.snapshot() == before
    assert machine.libvirt.done == []


def test_libvirt_has_seen_the_hook_before_there_is_a_controller(machine: Machine) -> None:
    steps = run(machine)
    assert machine.reloads == [True]
    words = [
        step.split()[0] for step in steps if "libvirtd" in step or step.endswith("/controller")
    ]
    assert words == ["reload", "install"]


@pytest.mark.parametrize("killed_at", STEPS)
def test_a_setup_killed_anywhere_is_finished_by_the_next_with_the_hook_seen(
    machine: Machine, killed_at: int
) -> None:
    class Killed(BaseException):
        pass

    planned = setup(machine.host, dry_run=True, places=machine.places).steps
    with pytest.raises(Killed):
        for index, step in enumerate(planned):
            if index == killed_at:
                raise Killed
            step.apply(machine.host)
    run(machine)
    assert machine.reloads[-1] is True
    assert run(machine) == []
    run(machine, remove=True)
    assert not machine.places.controller.exists()
    assert machine.libvirt.active == set()


def test_a_hook_taken_away_by_hand_comes_back_and_libvirt_is_told(machine: Machine) -> None:
    run(machine)
    machine.places.hook.unlink()
    machine.reloads.clear()
    run(machine)
    assert machine.reloads == [True]
    assert installed(machine.places)


def test_an_older_hook_of_ours_is_replaced(machine: Machine) -> None:
    run(machine)
    old = b"#!/usr/bin/python3 -IS\n" + MARK + b"raise SystemExit(1)\n"
    machine.places.hook.write_bytes(old)
    machine.places.hook.chmod(0o755)
    assert readiness(machine.host, machine.places) == ["libvirt's hook is not this version's"]
    assert run(machine) == [f"replace {machine.places.hook}"]
    assert machine.places.hook.read_bytes() == hook(machine.places).content


@pytest.mark.parametrize("what", ["hook", "controller"])
def test_a_foreign_file_in_the_way_is_not_overwritten(machine: Machine, what: str) -> None:
    target = getattr(machine.places, what)
    target.parent.mkdir(parents=True)
    target.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(Refused, match="did not put it there"):
        run(machine)
    assert target.read_text() == "#!/bin/sh\nexit 0\n"
    assert machine.libvirt.done == []


def test_a_link_in_the_way_is_neither_followed_nor_replaced(
    machine: Machine, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(hook(machine.places).content)
    machine.places.hook.parent.mkdir(parents=True)
    machine.places.hook.symlink_to(outside)
    with pytest.raises(Refused):
        run(machine)
    assert machine.places.hook.is_symlink()


def test_a_directory_others_may_write_to_is_refused(machine: Machine) -> None:
    machine.places.hook_directory.mkdir()
    machine.places.hook_directory.chmod(0o777)
    with pytest.raises(Refused, match="can be written by others"):
        run(machine)


@pytest.mark.parametrize("step", STEPS)
def test_a_setup_that_fails_leaves_the_host_as_it_was(machine: Machine, step: int) -> None:
    before = machine.snapshot()
    definition = machine.libvirt.definitions["default"]
    steps = setup(machine.host, dry_run=True, places=machine.places).steps
    assert len(steps) == len(STEPS)

    def fail(index: int, _: Step) -> None:
        if index == step:
            raise Failed("The power went.")

    with pytest.raises(Failed):
        execute(steps, machine.host, fail)
    after = machine.snapshot()
    forwarding = str(machine.places.forwarding)
    before.pop(forwarding), after.pop(forwarding)
    assert after == before
    assert machine.libvirt.active == set()
    assert machine.libvirt.autostart == set()
    assert canonical(machine.libvirt.definitions["default"]) == canonical(definition)
    assert not machine.mac.loaded


def test_remove_undoes_exactly_what_setup_did(machine: Machine) -> None:
    foreign = machine.places.hook_directory / "10-other"
    foreign.parent.mkdir()
    foreign.write_text("#!/bin/sh\n")
    before = machine.snapshot()
    run(machine)
    run(machine, remove=True)
    after = machine.snapshot()
    forwarding = str(machine.places.forwarding)
    assert after.pop(forwarding)[2] == before.pop(forwarding)[2]
    assert after == before
    assert not machine.mac.loaded
    assert run(machine, remove=True) == []


def test_the_hook_goes_only_when_libvirt_is_starting_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that has chosen to execute the hook would fail without it; asking waits for it."""
    run(machine)
    there: list[bool] = []

    def domains() -> list[DomainRecord]:
        there.append(machine.places.hook.exists())
        return []

    monkeypatch.setattr(machine.libvirt, "domains", domains)
    run(machine, remove=True)
    assert there[-1]
    assert len(there) == 2  # for the plan, and then right before it goes
    assert not machine.places.hook.exists()


def test_remove_refuses_while_containers_of_ours_are_defined(machine: Machine) -> None:
    run(machine)
    machine.libvirt.found = [foreign_domain("other"), broken_domain("vs1")]
    with pytest.raises(Refused, match=r"still defined here: vs1\.") as refused:
        run(machine, remove=True)
    assert refused.value.exit_status == 3
    assert installed(machine.places)


def test_remove_takes_ports_along_that_virsh_left_of_a_container(machine: Machine) -> None:
    run(machine)
    left = ("virtsec-expose-gone-8080.socket", "virtsec-expose-gone-8080.service")
    machine.systemd.files = dict.fromkeys((*left, "virtsec-packets.service"), "")
    assert f"take away {left[1]}, {left[0]}" in run(machine, remove=True)
    assert list(machine.systemd.files) == ["virtsec-packets.service"]


def test_remove_passes_over_foreign_containers_and_foreign_files(machine: Machine) -> None:
    run(machine)
    machine.libvirt.found = [foreign_domain("other")]
    machine.places.hook.write_text("#!/bin/sh\n")
    run(machine, remove=True)
    assert machine.places.hook.read_text() == "#!/bin/sh\n"
    assert not machine.places.controller.exists()


def test_remove_keeps_a_store_with_something_in_it_and_says_so(machine: Machine) -> None:
    run(machine)
    (machine.places.store / "vs1").mkdir()
    done = setup(machine.host, remove=True, places=machine.places)
    assert done.kept == (machine.places.store,)
    assert not machine.places.settings.exists()
    assert run(machine, remove=True) == []


def test_a_host_without_cgroup_2_is_told_so_before_anything_is_changed(machine: Machine) -> None:
    machine.places.cgroup_controllers.unlink()
    with pytest.raises(HostNotReady, match="cgroup version 2"):
        run(machine)
    assert not machine.mac.loaded


def test_a_kernel_without_user_namespaces_is_told_so(machine: Machine) -> None:
    machine.places.user_namespaces.write_text("0\n")
    with pytest.raises(HostNotReady, match="user namespaces"):
        run(machine)


def test_without_dnsmasq_the_network_is_not_started(machine: Machine) -> None:
    machine.places.dnsmasq.unlink()
    with pytest.raises(HostNotReady, match="dnsmasq"):
        run(machine)
    run(machine, network=False)
    assert installed(machine.places)
    assert machine.libvirt.done == []


def test_what_the_network_makes_is_kept_from_containers_too(machine: Machine) -> None:
    """libvirt makes a directory for dnsmasq when the first network starts."""
    running: list[bool] = []
    machine.mac.protecting = lambda: running.append("default" in machine.libvirt.active)
    run(machine)
    assert running == [True]
    run(machine)
    assert running == [True], "nothing was left to do"


def test_readiness_names_what_is_missing_and_setup_provides_it(machine: Machine) -> None:
    assert readiness(machine.host, machine.places) == [
        "the base policy is not loaded",
        "libvirt's hook is not installed",
        "the controller is not installed",
        "the list of kernel modules is not installed",
        "what hook and controller import is not installed",
    ]
    with pytest.raises(HostNotReady, match=r"^This host is not set up for containers yet\.$"):
        check_ready(machine.host, machine.places)
    run(machine)
    check_ready(machine.host, machine.places)
    machine.places.hook.unlink()
    with pytest.raises(HostNotReady, match="libvirt's hook is not installed"):
        check_ready(machine.host, machine.places)
