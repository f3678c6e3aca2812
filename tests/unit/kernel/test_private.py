"""What is temporary is where nobody else gets, whatever the environment says."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtsec.errors import HostNotReady
from virtsec.kernel.private import ABOVE, private_directory


def test_a_directory_is_ours_alone_and_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with private_directory("virtsec-test-") as made:
        assert made.parent == ABOVE
        assert made.stat().st_mode & 0o777 == 0o700
        (made / "x").write_text("x")
    assert not made.exists()


def test_it_is_not_made_where_others_could_exchange_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(ABOVE)
    for above in (tmp_path, link):
        with pytest.raises(HostNotReady), private_directory("virtsec-test-", above):
            pass
