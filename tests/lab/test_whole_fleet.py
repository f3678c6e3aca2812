"""Fleets: what a file asks for is made, once, wherever it was interrupted; nothing else changes."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from complained import complained
from demo.containers import BUSYBOX, Small, fleet_of, prepare
from demo.shell import run, virsh, virtsec, wait_for
from killed import killed_before

from virtsec.commands import fleet
from virtsec.commands.host import open_host
from virtsec.commands.listing import info
from virtsec.step import Silent

NAMES = ["web-1", "web-2", "web-3", "db"]
FILE = f"""\
version: 1
defaults: {{memory: 64M, confinement: category, from: {BUSYBOX}}}
pools:
  front: 192.168.122.71-192.168.122.79/24
bases:
  fleet: {{from: {BUSYBOX}}}
containers:
  - {{name: "web-{{n}}", count: 3, base: fleet, pool: front}}
  - {{name: db, address: [192.168.122.70/24], expose: ["5432:22"]}}
links:
  - {{from: "web-*", to: db, port: 22/tcp}}
"""
FOREIGN = """<domain type='lxc'><name>theirs</name><memory>65536</memory>
<os><type>exe</type><init>/bin/sh</init></os></domain>"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The fleet's file; all of it is gone in the end."""
    prepare()
    path = tmp_path_factory.mktemp("fleet") / "fleet.yaml"
    path.write_text(FILE)
    yield path
    for name in NAMES:
        Small(name).stop()
    path.write_text(FILE)
    virtsec("fleet", "destroy", str(path))
    virtsec("base", "remove", "fleet")
    assert not set(NAMES) & set(virsh("list", "--all", "--name").stdout.split())
    assert not list(Path("/etc/systemd/system").glob("virtsec-expose-db*"))


def plan(path: Path, *words: str) -> list[dict[str, Any]]:
    """What there is to do; the exit status says whether there is any."""
    done = virtsec("fleet", "plan", str(path), "--detailed-exitcode", "--json", *words, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)["differences"]
    assert done.returncode == (2 if found else 0)
    return found


def apply(path: Path, *words: str) -> set[tuple[str, str]]:
    """What was done, with whom."""
    done = json.loads(virtsec("fleet", "apply", str(path), "--json", *words).stdout)
    assert done["errors"] == []
    return {(each["action"], each["name"]) for each in done["results"]}


def seen() -> dict[str, object]:
    """All that there is of the fleet: what each is, its tree with all labels, and the links."""
    found: dict[str, object] = {}
    for name in NAMES:
        told = Small(name).info()
        del told["uuid"]
        tree = ("ls", "-lRZn", "--time-style=+", f"/var/lib/virtsec/{name}/rootfs")
        found[name] = told, run(*tree).stdout
    found["links"] = virtsec("links", "--json").stdout
    return found


@pytest.mark.once
def test_made_of_nothing_there_is_nothing_more_to_do(file: Path) -> None:
    planned = [(each["action"], each["kind"], each["name"]) for each in plan(file)]
    assert planned == [("make", "base", "fleet"), *(("make", "container", each) for each in NAMES)]
    made = apply(file, "--parallel", "2")
    assert made == {("make", each) for each in ("fleet", *NAMES)}
    assert plan(file) == []
    assert apply(file) == set()
    for name in NAMES:
        each = Small(name)
        each.start()
        assert each.confined()
    assert [link["to"] for link in Small("web-1").info()["links"]] == ["db"]
    assert [(one["at"], one["port"]) for one in Small("db").info()["exposed"]] == [(5432, 22)]


@pytest.mark.once
def test_the_file_that_is_exported_asks_for_what_there_is(file: Path, tmp_path: Path) -> None:
    assert file.exists()
    path = tmp_path / "exported.yaml"
    path.write_text(virtsec("fleet", "export").stdout)
    assert plan(path, "--prune") == []


@pytest.mark.once
def test_what_is_changed_is_changed_when_it_can_be(file: Path) -> None:
    file.write_text(FILE.replace("64M", "80M").replace("122.70/24", "122.69/24"))
    found = {
        (each["name"], change["field"], change["when"])
        for each in plan(file)
        for change in each["changes"]
    }
    live = {(name, "memory_mib", "live") for name in NAMES}
    assert found == {*live, ("db", "network", "next start")}
    assert apply(file) == {("change", name) for name in NAMES}
    assert plan(file) == []
    limit = Path("/sys/fs/cgroup/machine.slice/machine-db.slice/memory.max")
    assert limit.read_text() == f"{80 << 20}\n"
    database = Small("db")
    database.stop()
    database.start()
    assert "192.168.122.69/24" in database.inside("ip address show dev eth0").stdout
    assert database.confined()
    file.write_text(FILE)
    apply(file)
    assert plan(file) == []


@pytest.mark.once
def test_what_would_lose_a_tree_is_left_and_the_rest_is_done(file: Path) -> None:
    file.write_text(
        FILE.replace("name: db,", "name: db, init-policy: pristine,").replace("64M", "72M")
    )
    done = virtsec("fleet", "apply", str(file), "--json", check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 3
    assert [each["name"] for each in told["errors"]] == ["db"]
    assert {each["name"] for each in told["results"]} == {"web-1", "web-2", "web-3"}
    file.write_text(FILE)
    apply(file)


@pytest.mark.once
def test_others_go_only_when_asked_to_and_foreign_ones_never(file: Path) -> None:
    virsh("define", "/dev/stdin", stdin=FOREIGN)
    try:
        file.write_text(FILE.replace("count: 3", "count: 2"))
        assert plan(file) == []
        gone = [each["name"] for each in plan(file, "--prune")]
        assert "web-3" in gone
        assert not {"theirs", "web-1", "web-2", "db"} & set(gone)
    finally:
        virsh("undefine", "theirs")
        file.write_text(FILE)


@pytest.mark.once
def test_killed_in_the_middle_and_applied_again_by_two_at_once_it_is_the_same(file: Path) -> None:
    for name in NAMES:
        Small(name).stop()
    before = seen()
    virtsec("fleet", "destroy", str(file))
    host = open_host(Silent())
    killed_before("SetMetadata", lambda watch: fleet.apply_fleet(file, host, watch=watch))
    words = ("virtsec", "fleet", "apply", "--parallel", "2", str(file))
    both = [subprocess.Popen(words, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    assert plan(file) == []
    assert seen() == before


@pytest.mark.once
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, 1)])
def test_a_process_that_makes_some_is_interrupted_or_killed_and_applied_again_it_is_the_same(
    number: signal.Signals, status: int, file: Path
) -> None:
    """A service is stopped with all of its processes; lack of memory ends one of them."""
    for name in NAMES:
        Small(name).stop()
    before = seen()
    virtsec("fleet", "destroy", str(file))
    words = ("virtsec", "fleet", "apply", "--parallel", "2", str(file))
    command = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
    begun = Path("/var/lib/virtsec/web-1/rootfs")
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    while not begun.exists():
        assert command.poll() is None
        time.sleep(0.01)
    if number == signal.SIGTERM:
        os.killpg(command.pid, number)
    else:
        at_web_1, _ = children.read_text().split()
        os.kill(int(at_web_1), number)
    assert command.wait() == status
    assert "web-1" in {each["name"] for each in plan(file)}
    apply(file, "--parallel", "2")
    assert plan(file) == []
    assert seen() == before


@pytest.mark.once
def test_policies_of_all_are_one_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that have any: the others share one that is there."""
    prepare()
    path = tmp_path / "own.yaml"
    path.write_text(
        f"version: 1\ndefaults: {{from: {BUSYBOX}}}\n"
        'containers: [{name: "own-{n}", count: 2}, {name: shared, confinement: category}]\n'
    )
    host = open_host(Silent())
    loaded: list[object] = []
    monkeypatch.setattr(type(host.mac), "load", _noting(type(host.mac).load, loaded))
    assert {name for _, name in fleet.apply_fleet(path, host)} == {"own-1", "own-2", "shared"}
    assert len(loaded) == 1
    for name in ("own-1", "shared"):
        each = Small(name)
        each.start()
        assert each.confined()
        each.stop()
    virtsec("fleet", "destroy", str(path))


def _noting(load: Callable[..., None], loaded: list[object]) -> Callable[..., None]:
    """The same, noting each time."""

    def noting(*arguments: Any) -> None:
        loaded.append(arguments)
        load(*arguments)

    return noting


@pytest.mark.once
def test_a_file_that_makes_no_sense_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    for text, sentence in (
        (FILE.replace("count: 3", "cuont: 3"), f"{path}:8: containers.0: "),
        (FILE.replace("count: 3", "count: many"), f"{path}:8: containers.0.count: "),
        (FILE.replace("name: db", "name: Db"), f"{path}:9: 'Db' is not a container name."),
        (FILE.replace("122.70/24", "122.72/24"), f"{path}:9: web-2 and db would both have"),
        ("a: &a [x]\nb: [*a, *a]\n", f"{path}:1: This is no YAML: anchors"),
        ("\n" * (10 << 20), f"{path} is too long: a fleet file has"),
    ):
        path.write_text(text)
        for command in ("plan", "apply", "destroy"):
            complained(("fleet", command, str(path)), 2, sentence)


@pytest.mark.stress
# Each is taken away before the other is made: they would have other ids beside each other.
@pytest.mark.parametrize("count", [30, 300], scope="class")
class TestMany:
    """What holds for four, for as many as there are."""

    @staticmethod
    def written(tmp_path: Path, count: int) -> Path:
        prepare()
        path = tmp_path / "many.yaml"
        path.write_text(fleet_of(f"m{count}", count))
        return path

    @staticmethod
    def seen(count: int) -> str:
        """All domains and all trees, with all labels; but for what is made up for each domain."""
        found, host = [], open_host(Silent())
        for number in range(1, count + 1):
            name = f"m{count}-{number}"
            told = replace(info(name, host), uuid="")
            tree = run("ls", "-lRZn", "--time-style=+", f"/var/lib/virtsec/{name}/rootfs").stdout
            found.append(f"{told}\n{tree}")
        return "\n".join(found)

    def test_there_and_back(self, tmp_path: Path, count: int) -> None:
        path = self.written(tmp_path, count)
        made = {
            ("make", each) for each in (f"m{count}", *(f"m{count}-{n + 1}" for n in range(count)))
        }
        assert apply(path) == made
        assert plan(path) == []
        exported = tmp_path / "exported.yaml"
        exported.write_text(virtsec("fleet", "export").stdout)
        assert plan(exported, "--prune") == []
        assert virtsec("fleet", "diff", str(path)).stdout == ""

    def test_killed_or_beside_another_it_is_the_same(self, tmp_path: Path, count: int) -> None:
        path = self.written(tmp_path, count)
        before = self.seen(count)
        virtsec("fleet", "destroy", str(path))
        words = ("virtsec", "fleet", "apply", str(path))
        killed = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        first = Path(f"/var/lib/virtsec/m{count}-{count // 2}")
        wait_for("half of them to be begun", first.exists, attempts=3600)
        killed.kill()
        killed.wait()
        both = [subprocess.Popen(words, stdout=subprocess.DEVNULL) for _ in range(2)]
        assert [each.wait() for each in both] == [0, 0]
        assert plan(path) == []
        assert self.seen(count) == before
        virtsec("fleet", "destroy", str(path))
        virtsec("base", "remove", f"m{count}")
