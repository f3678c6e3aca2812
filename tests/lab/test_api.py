"""The example of docs/api.md, for real: two containers, a link, a proof, and an error."""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo.containers import BUSYBOX, load_policies

import virtsec

pytestmark = pytest.mark.once

DOCUMENT = Path(__file__).parents[2] / "docs/api.md"
#: Three of all: on the host, and on the files and tasks of the other container.
ATTACKS = ("host-file-read", "other-file-read", "other-task-kill")


@pytest.fixture
def example(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the example defines; what it makes is gone afterwards."""
    (text,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.DOTALL | re.M)
    path = tmp_path / "example.py"
    path.write_text(text)
    yield runpy.run_path(str(path))
    host = virtsec.open_host()
    ours = [each.name for each in virtsec.list_domains(host, all_=True) if each.ours]
    made = [name for name in ("web", "db") if name in ours]
    for each in virtsec.list_domains(host):
        if each.name in made:
            virtsec.destroy(each.name, host)
    virtsec.undefine(made, host, storage=True)


def test_the_example_of_the_document_does_what_it_says(
    example: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    load_policies({"web": False, "db": False})
    example["provision"](str(BUSYBOX))
    assert "web will run as" in capsys.readouterr().out
    host = virtsec.open_host()
    running = {each.name: each.confinement for each in virtsec.list_domains(host)}
    assert running["web"] == running["db"] == virtsec.Confinement.CONFINED
    links = {each.name: each.links for each in virtsec.links(host)}
    assert links["web"] == (virtsec.Link("db", 5432),)
    assert example["proven"](ATTACKS)

    assert example["main"](str(BUSYBOX)) == virtsec.BadInput.exit_status
    assert capsys.readouterr().err.startswith("libvirt has a domain web already.")
    assert {each.name for each in virtsec.list_domains(host)} >= {"web", "db"}
