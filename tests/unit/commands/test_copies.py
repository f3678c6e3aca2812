"""clone, export, import, rename: what is planned, and what cannot be."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tests.unit.domain.test_adopt import THEIRS
from tests.unit.fakes import FakeMac, fake_host, foreign, record
from tests.unit.samples import SAMPLES, Sample, sample
from virtsec.commands import copies
from virtsec.commands.copies import beyond_its_tree
from virtsec.commands.find import find_ours
from virtsec.domain.document import parse
from virtsec.domain.metadata import CONTROLLER, Container, read
from virtsec.domain.records import DomainRecord
from virtsec.domain.rename import of_other_name, renamed
from virtsec.domain.steps import DefineDomain, RedefineDomain, SetMetadata, UndefineDomain
from virtsec.domain.verdict import differences
from virtsec.domain.xml import domain_xml
from virtsec.errors import BadInput, NotFound, Refused
from virtsec.host import lock
from virtsec.mac.steps import LoadPolicy, SetTraffic, UnloadPolicies
from virtsec.plans.adopt import plan_adopt, plan_release
from virtsec.plans.host import HostFacts
from virtsec.plans.rename import plan_rename
from virtsec.rootfs.export import check_target, definition_in
from virtsec.rootfs.follow import RemoveBeside, beside
from virtsec.rootfs.owners import GiveTree
from virtsec.rootfs.steps import MoveStore
from virtsec.spec import STORE, Addition, ApartBy, ContainerSpec, Link, Mount
from virtsec.step import Host, Step

ONE = SAMPLES["unprivileged"]


def with_uuid(xml: str) -> str:
    """As libvirt has it."""
    return xml.replace("<metadata>", "<uuid>8c0d5e0e-0000-4000-8000-000000000001</uuid><metadata>")


def facts(*records: DomainRecord) -> HostFacts:
    """A host with these domains and one of somebody else's."""
    return HostFacts(
        domains=(*records, foreign("theirs")),
        subordinate=(),
        networks={},
        models=frozenset({"selinux"}),
        controller=CONTROLLER,
    )


def planned(
    sample: Sample, new: str, *others: Container, autostart: bool = False
) -> tuple[Step, ...]:
    """The steps that rename a sample."""
    there = record(sample.spec.name, with_uuid(sample.xml), autostart=autostart)
    container = replace(sample.container, spec=replace(sample.spec, autostart=autostart))
    return plan_rename(container, there, others, new, facts=facts(there), mac=FakeMac())


@pytest.mark.parametrize("name", SAMPLES)
def test_renamed_it_is_what_define_would_have_made_under_that_name(name: str) -> None:
    sample = SAMPLES[name]
    if sample.seclabel is None:
        label = replace(sample.identity.label, process="new", file="new", init="new")
    else:
        label = FakeMac().labels(()).give("new", ApartBy.TYPE)
    after = renamed(sample.container, "new", label)
    seclabel = None if sample.seclabel is None else {**sample.seclabel, "label": label.process}
    xml = of_other_name(with_uuid(sample.xml), sample.container, after, seclabel)
    assert not differences("new", xml)
    assert read(xml) == read(domain_xml(after.spec, after.identity, seclabel, CONTROLLER))
    assert "<uuid>" not in xml


def test_its_root_moves_with_it_only_where_it_is_in_the_store() -> None:
    label = ONE.identity.label
    own = replace(ONE.container, spec=replace(ONE.spec, rootfs=STORE / ONE.spec.name / "rootfs"))
    assert renamed(own, "new", label).spec.rootfs == STORE / "new/rootfs"
    elsewhere = replace(own, spec=replace(own.spec, rootfs=PurePosixPath("/srv/it")))
    assert renamed(elsewhere, "new", label).spec.rootfs == PurePosixPath("/srv/it")


def test_the_domain_under_its_old_name_goes_last() -> None:
    kinds = [type(each) for each in planned(ONE, "new")]
    assert kinds[:3] == [LoadPolicy, MoveStore, GiveTree]
    assert kinds.index(DefineDomain) < kinds.index(UnloadPolicies)
    assert kinds[-1] is UndefineDomain


def test_what_was_cut_off_beside_it_goes_while_it_has_the_name_of_that() -> None:
    """A base that somebody is on cannot be removed, and this would be nobody's."""
    kinds = [type(each) for each in planned(SAMPLES["layer"], "new")]
    assert kinds.index(RemoveBeside) < kinds.index(MoveStore)
    assert RemoveBeside(beside("vs8")) in planned(SAMPLES["layer"], "new")


def test_what_was_killed_at_its_end_is_only_finished() -> None:
    done = renamed(ONE.container, "new", FakeMac().labels(()).give("new", ApartBy.TYPE))
    kinds = [type(each) for each in planned(ONE, "new", done)]
    assert LoadPolicy not in kinds
    assert DefineDomain not in kinds
    assert kinds[-1] is UndefineDomain


def test_links_to_it_lead_to_its_new_name() -> None:
    other = SAMPLES["privileged"].container
    other = replace(other, spec=replace(other.spec, links=(Link(ONE.spec.name, 80),)))
    steps = planned(ONE, "new", other)
    (changed,) = [each for each in steps if isinstance(each, SetMetadata)]
    assert changed.after.spec.links == (Link("new", 80),)
    (opened,) = [each for each in steps if isinstance(each, SetTraffic)]
    assert opened.after.links[other.name] == (Link("new", 80),)


def test_an_adopted_one_is_given_back_under_the_name_it_has_by_now() -> None:
    theirs = "/var/lib/virtsec/web/rootfs"
    xml = THEIRS.replace("/srv/web", theirs)
    there = record("web", xml, uuid=str(parse(xml, "it").findtext("uuid")))
    adopted = plan_adopt(there, facts(there), FakeMac())
    there = replace(there, xml=adopted.after)
    assert given_back(adopted.container, there).after == xml
    steps = plan_rename(adopted.container, there, (), "new", facts=facts(there), mac=FakeMac())
    (made,) = [each for each in steps if isinstance(each, DefineDomain)]
    host = fake_host()
    made.apply(host)
    now, container = find_ours("new", host)
    given_back(container, now).apply(host)
    (left,) = host.libvirt.domains()
    assert left.name == "new"
    assert read(left.xml) is None
    assert theirs not in left.xml
    assert "/var/lib/virtsec/new/rootfs" in left.xml


def given_back(container: Container, there: DomainRecord) -> RedefineDomain:
    """The step by which `release` gives the definition back."""
    steps = plan_release(container, there, (), FakeMac())
    (back,) = [each for each in steps if isinstance(each, RedefineDomain)]
    return back


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(BadInput, match="libvirt has a domain theirs already"):
        planned(ONE, "theirs")
    there = record(ONE.spec.name, with_uuid(ONE.xml), running=True)
    with pytest.raises(Refused, match="is running, and cannot be renamed"):
        plan_rename(ONE.container, there, (), "new", facts=facts(there), mac=FakeMac())


def test_where_an_archive_can_be_written(tmp_path: Path) -> None:
    assert check_target(tmp_path / "it.tar") is None
    with pytest.raises(BadInput, match="does not say how it is to be packed"):
        check_target(tmp_path / "it.zip")
    with pytest.raises(NotFound, match="There is no directory"):
        check_target(tmp_path / "none/it.tar")
    (tmp_path / "there.tar").touch()
    with pytest.raises(BadInput, match="is there already"):
        check_target(tmp_path / "there.tar")


def test_the_definition_is_read_from_the_head_of_an_archive(tmp_path: Path) -> None:
    file = tmp_path / "it.tar"
    head = tarfile.TarInfo.create_pax_global_header({"comment": "<domain/>"})
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("./etc"))
    file.write_bytes(head + body.getvalue())
    assert definition_in(file) == "<domain/>"


REACHING: dict[str, dict[str, Any]] = {
    "root inside is root outside": {"privileged": True},
    "/root is mounted at /mnt": {"mounts": (Mount(PurePosixPath("/root"), PurePosixPath("/mnt")),)},
    "its policy allows read open of shadow_t file": {
        "additions": (Addition("shadow_t", "file", ("read", "open")),)
    },
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ContainerSpec]:
    """What `import_` has asked for to be defined."""
    found: list[ContainerSpec] = []

    def define(spec: ContainerSpec, host: Host, watch: object) -> None:
        found.append(spec)

    monkeypatch.setattr(copies, "define_locked", define)
    monkeypatch.setattr(copies, "host_lock", partial(lock.host_lock, directory=tmp_path / "lock"))
    return found


def exported(sample: Sample, path: Path) -> Path:
    """An archive that says it was this container's."""
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("./etc"))
    head = tarfile.TarInfo.create_pax_global_header({"comment": sample.xml})
    path.write_bytes(head + path.read_bytes())
    return path


@pytest.mark.parametrize("what", REACHING)
def test_an_archive_has_nothing_of_the_host_unless_it_is_trusted(
    what: str, asked: list[ContainerSpec], tmp_path: Path
) -> None:
    archive = exported(sample("vs1", **REACHING[what]), tmp_path / "it.tar")
    with pytest.raises(Refused, match=f"more of the host than its own tree: {what}"):
        copies.import_(archive, fake_host())
    assert asked == []
    copies.import_(archive, fake_host(), trusted=True)
    assert beyond_its_tree(asked[0]) == [what]


def test_what_one_module_allows_besides_means_nothing_to_another(
    asked: list[ContainerSpec], tmp_path: Path
) -> None:
    made = sample("vs1", smack=True, additions=(Addition("web", "", ("w",)),))
    copies.import_(exported(made, tmp_path / "it.tar"), fake_host())
    assert asked[0].additions == ()


@pytest.mark.parametrize("head", ["none", "broken", "endless"])
def test_another_archive_is_told_from_an_exported_one(tmp_path: Path, head: str) -> None:
    file = tmp_path / "it.tar"
    with tarfile.open(file, "w") as archive:
        archive.addfile(tarfile.TarInfo("./etc"))
    global_header = tarfile.TarInfo.create_pax_global_header({"comment": "x"})
    if head == "broken":
        file.write_bytes(global_header[:512] + b"\xff" * 512 + file.read_bytes())
    elif head == "endless":  # it says that gigabytes follow
        info = tarfile.TarInfo("././@PaxHeader")
        info.type, info.size = tarfile.XGLTYPE, 1 << 40
        file.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(BadInput, match=r"was not made by `virtsec export`"):
        definition_in(file)
