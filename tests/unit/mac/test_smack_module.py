"""What the Smack module promises: least rules, whole or not at all, and gone when taken out."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.mac.smack_fakes import FakeSmackfs
from virtsec.errors import BadInput, PolicyFailed
from virtsec.mac.protocol import Enforcement, MacModule, Policy
from virtsec.mac.smack import module
from virtsec.mac.smack.kernel import Smackfs
from virtsec.mac.smack.module import Smack
from virtsec.mac.smack.policy import container_policy
from virtsec.mac.smack.rule import Rule
from virtsec.mac.smack.setup import Place
from virtsec.spec import ApartBy, Label

VS1 = Label("smack", "vs1", "vs1", "vs1")
ALL = Rule("_", "vs1", "rwxat")


@pytest.fixture
def kernel() -> FakeSmackfs:
    return FakeSmackfs()


@pytest.fixture
def smack(kernel: FakeSmackfs, tmp_path: Path) -> Smack:
    return Smack(Place(kernel, tmp_path))


def files(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.rglob("*") if path.is_file()}


def test_it_is_a_module_like_any_other(smack: Smack) -> None:
    found: MacModule = smack
    assert found.model == "smack"


def test_the_label_is_the_containers_name(smack: Smack) -> None:
    assert smack.labels([]).give("vs1", ApartBy.TYPE) == VS1


def test_a_label_that_another_domain_has_is_not_given_again(smack: Smack) -> None:
    with pytest.raises(BadInput, match="in use"):
        smack.labels(["vs1"]).give("vs1", ApartBy.TYPE)


@pytest.mark.parametrize("rule", [Rule("vs1", "_", "r"), Rule("other", "vs1", "r")])
def test_a_label_of_the_hosts_own_rules_is_not_given(
    smack: Smack, kernel: FakeSmackfs, rule: Rule
) -> None:
    kernel.load(rule)
    with pytest.raises(BadInput, match="in use"):
        smack.labels([]).give("vs1", ApartBy.TYPE)


def test_a_label_left_by_an_interrupted_define_is_taken_up_again(smack: Smack) -> None:
    smack.load([container_policy("vs1")])
    assert smack.labels([]).give("vs1", ApartBy.TYPE) == VS1


def test_rules_are_in_force_and_kept_for_the_next_boot(
    smack: Smack, kernel: FakeSmackfs, tmp_path: Path
) -> None:
    smack.load([container_policy("vs1"), container_policy("vs2")])
    assert kernel.allows(ALL)
    directory = tmp_path / "etc/smack/accesses.d"
    assert sorted(path.name for path in directory.iterdir()) == ["virtsec-vs1", "virtsec-vs2"]
    assert smack.loaded() == {name: container_policy(name).text for name in ("vs1", "vs2")}


def test_a_container_has_no_write_to_the_host_nor_to_another(
    smack: Smack, kernel: FakeSmackfs
) -> None:
    smack.load([container_policy("vs1"), container_policy("vs2")])
    for target in ("_", "vs2", "host", "net"):
        assert not kernel.allows(Rule("vs1", target, "w"))
        assert not kernel.allows(Rule("vs1", target, "a"))
    assert not kernel.allows(Rule("vs1", "vs2", "r"))


def test_rules_that_do_not_hold_are_not_said_to_be_loaded(
    smack: Smack, kernel: FakeSmackfs
) -> None:
    smack.load([container_policy("vs1")])
    kernel.given.clear()
    assert smack.loaded() == {}


def test_a_rule_the_kernel_did_not_take_is_noticed_and_nothing_is_left(
    smack: Smack, kernel: FakeSmackfs, tmp_path: Path
) -> None:
    kernel.deaf.add("vs2")
    with pytest.raises(PolicyFailed, match="did not take"):
        smack.load([container_policy("vs1"), container_policy("vs2")])
    assert files(tmp_path) == {}
    assert kernel.rules() == []


def test_a_rule_of_the_host_that_opens_it_to_the_container_is_refused(
    smack: Smack, kernel: FakeSmackfs, tmp_path: Path
) -> None:
    kernel.load(Rule("vs1", "_", "rwa"))
    with pytest.raises(PolicyFailed, match="write to what is labelled _"):
        smack.load([container_policy("vs1")])
    assert files(tmp_path) == {}


def test_a_failed_load_leaves_the_rules_that_were_there(
    smack: Smack, kernel: FakeSmackfs, tmp_path: Path
) -> None:
    smack.load([Policy("vs1", "_ vs1 rx\n")])
    kernel.deaf.add("vs2")
    with pytest.raises(PolicyFailed):
        smack.load([container_policy("vs1"), container_policy("vs2")])
    assert files(tmp_path) == {"virtsec-vs1": "_ vs1 rx\n"}
    assert kernel.rules() == [Rule("_", "vs1", "rx")]


def test_a_text_that_is_no_rules_is_not_loaded_in_part(smack: Smack, kernel: FakeSmackfs) -> None:
    with pytest.raises(BadInput):
        smack.load([Policy("vs1", "_ vs1 rwx\n_ vs1 q\n")])
    assert kernel.rules() == []


def test_unloading_takes_every_rule_and_the_file_away(
    smack: Smack, kernel: FakeSmackfs, tmp_path: Path
) -> None:
    smack.load([container_policy("vs1"), container_policy("vs2")])
    kernel.load(Rule("vs1", "other", "r"))
    smack.unload(["vs1", "nothere"])
    assert kernel.rules() == [Rule("_", "vs2", "rwxat"), Rule("virtsec-link", "vs2", "w")]
    assert list(files(tmp_path)) == ["virtsec-vs2"]
    smack.unload(["vs1"])


def test_marks_label_every_inode_and_leave_no_trace_of_the_container_at_rest(smack: Smack) -> None:
    marks = smack.marks(VS1)
    assert marks.files == marks.init == {"security.SMACK64": b"vs1"}
    assert marks.directories == {"security.SMACK64": b"vs1", "security.SMACK64TRANSMUTE": b"TRUE"}
    assert marks.rest == {
        "security.SMACK64": b"virtsec-rest",
        "security.SMACK64TRANSMUTE": None,
    }


def test_seclabel_is_there_only_where_libvirt_knows_smack(smack: Smack) -> None:
    assert smack.seclabel(VS1, {"selinux", "none"}) is None
    found = smack.seclabel(VS1, {"smack"})
    assert found is not None
    assert (found["type"], found["model"], found["label"]) == ("static", "smack", "vs1")


def test_bringup_mode_is_not_called_enforcing(tmp_path: Path) -> None:
    smack = Smack(Place(Smackfs(tmp_path)))
    assert smack.enforcement() is Enforcement.ENFORCING
    (tmp_path / "unconfined").write_text("")
    assert smack.enforcement() is Enforcement.ENFORCING
    (tmp_path / "unconfined").write_text("_")
    assert smack.enforcement() is Enforcement.PERMISSIVE


def test_a_directory_that_setup_makes_is_labelled_as_it_is_listed(
    smack: Smack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else a second setup would find something to do."""
    monkeypatch.setattr(module, "ATTRIBUTE", "user.smack")
    listed, made = tmp_path / "listed", tmp_path / "made"
    (tmp_path / "etc/virtsec").mkdir(parents=True)
    (tmp_path / "etc/virtsec/host-files.conf").write_text(f"{listed}/ reason\n")
    for path in (listed, made):
        path.mkdir()
    smack.restore([PurePosixPath(listed), PurePosixPath(made), PurePosixPath(tmp_path / "gone")])
    (listed / "file").touch()
    smack.restore([PurePosixPath(listed / "file")])
    assert os.getxattr(listed, "user.smack") == b"host"
    assert os.getxattr(listed / "file", "user.smack") == b"host"
    assert os.getxattr(made, "user.smack") == b"_"


def test_a_rule_that_is_kept_and_not_loaded_is_not_said_to_be_in_force(
    smack: Smack, kernel: FakeSmackfs
) -> None:
    own = container_policy("vs1")
    smack.load([own])
    assert smack.texts_in_force(own) == {"virtsec-vs1": own.text}
    kernel.revoke("_")
    assert str(ALL) not in smack.texts_in_force(own)["virtsec-vs1"]
    assert str(ALL) in smack.texts(own)["virtsec-vs1"]
