"""What the hook sees to under Smack before a container starts."""

from __future__ import annotations

import posix
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.mac.smack_fakes import FakeSmackfs
from virtsec.mac.smack.policy import container_policy
from virtsec.mac.smack.rule import Rule, parse
from virtsec.runtime import disk, rules
from virtsec.runtime.refusal import Refused
from virtsec.runtime.start import MODELS, Smack


class Posix:
    """`posix`, but with smackfs's two files in front of a kernel that is not there."""

    LOAD, QUERY = 10_001, 10_002

    def __init__(self, kernel: FakeSmackfs) -> None:
        self.kernel, self.answer = kernel, b""

    def __getattr__(self, name: str) -> Any:
        return getattr(posix, name)

    def open(self, path: str, flags: int) -> int:
        known = {Smack.running: self.LOAD, rules.QUERY: self.QUERY}
        return known[path] if path in known else int(posix.open(path, flags))

    def write(self, descriptor: int, data: bytes) -> int:
        (rule,) = parse(data.decode(), "what was written")
        if descriptor == self.LOAD:
            self.kernel.load(rule)
        else:
            self.answer = b"1" if self.kernel.allows(rule) else b"0"
        return len(data)

    def read(self, descriptor: int, size: int) -> bytes:
        return self.answer if descriptor == self.QUERY else bytes(posix.read(descriptor, size))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSmackfs:
    kernel = FakeSmackfs()
    monkeypatch.setattr(rules, "posix", Posix(kernel))
    monkeypatch.setattr(Smack, "rules", f"{tmp_path}/virtsec-")
    (tmp_path / "virtsec-vs1").write_text(container_policy("vs1").text)
    return kernel


def test_rules_that_a_boot_lost_are_loaded(kernel: FakeSmackfs) -> None:
    rules.load_rules("vs1")
    assert kernel.rules() == [Rule("_", "vs1", "rwxat"), Rule("virtsec-link", "vs1", "w")]


def test_however_many_they_are(kernel: FakeSmackfs, tmp_path: Path) -> None:
    more = "".join(f"vs1 {'x' * 200}{at} r\n" for at in range(400))
    (tmp_path / "virtsec-vs1").write_text(container_policy("vs1").text + more)
    rules.load_rules("vs1")
    assert len(kernel.rules()) == 402


@pytest.mark.parametrize(
    "rule", [Rule("vs1", "_", "w"), Rule("vs1", "_", "rxa"), Rule("vs1", "host", "r")]
)
def test_a_rule_that_opens_the_host_stops_the_start(kernel: FakeSmackfs, rule: Rule) -> None:
    kernel.load(rule)
    with pytest.raises(Refused, match=f"a rule allows 'vs1 {rule.object}"):
        rules.load_rules("vs1")


def test_a_rule_the_kernel_does_not_take_stops_the_start(kernel: FakeSmackfs) -> None:
    kernel.deaf.add("vs1")
    with pytest.raises(Refused, match="no rule allows '_ vs1 rwx'"):
        rules.load_rules("vs1")


def test_rules_that_are_gone_stop_the_start(kernel: FakeSmackfs, tmp_path: Path) -> None:
    (tmp_path / "virtsec-vs1").unlink()
    with pytest.raises(Refused, match="define it again"):
        rules.load_rules("vs1")


def test_nothing_starts_while_packets_would_not_be_labelled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start: Any = SimpleNamespace(module="smack", model=SimpleNamespace(running="/"))
    monkeypatch.setattr(disk, "PACKETS", str(tmp_path))
    disk.check_modules(start)
    monkeypatch.setattr(disk, "PACKETS", "/nowhere")
    with pytest.raises(Refused, match="start it"):
        disk.check_modules(start)


@pytest.mark.parametrize(("module", "model"), MODELS.items())
def test_without_the_security_module_nothing_starts(
    module: str, model: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start: Any = SimpleNamespace(module=module, model=model)
    monkeypatch.setattr(disk, "PACKETS", str(tmp_path))
    monkeypatch.setattr(model, "running", "/nowhere")
    with pytest.raises(Refused, match=f"{module} does not run"):
        disk.check_modules(start)
