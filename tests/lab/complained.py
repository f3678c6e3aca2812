"""Commands that end with one sentence and a remedy, and change nothing that libvirt knows."""

from demo.shell import virsh, virtsec


def complained(words: tuple[str, ...], status: int, sentence: str) -> None:
    """Assert that virtsec does so, with that exit status."""
    domains = virsh("list", "--all", "--name").stdout
    done = virtsec(*words, check=False)
    assert done.returncode == status
    assert sentence in done.stderr
    assert done.stderr.count("\n") <= 2
    assert virsh("list", "--all", "--name").stdout == domains
