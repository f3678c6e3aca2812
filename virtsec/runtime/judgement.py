"""Judges a container of virtsec before it starts, and labels its init: what libvirt's hook does.

It refuses those

  - whose definition does not say what virtsec's may say: `start` and `checks`, of which planner,
    `virtsec info` and doctor ask the same;
  - whose controller, root, mounts or init are not, on disk, what a start may rely on: `disk`.

Then Smack's rules are loaded (`rules`), and the file that init is now gets init's label (`init`).
Once the container is started its share of inotify is limited (`inotify`). What looks no further
than at the XML comes first, and what acts is not even loaded before nothing is refused.

Standard library only, run as root. So imports are weighed: `posix` and `_signal` are what `os` and
`signal` are made of and are loaded already. It never calls libvirt, which is waiting.
"""

import _signal  # type: ignore[import-not-found]  # typeshed has it as signal only
import resource

from .checks import check_network, judged
from .domain import parse
from .refusal import Refused
from .start import Start, start_of

CPU_LIMIT = 2  # seconds, of which the hook needs a tenth; one more until the kernel ends it


def judge(name: str, operation: str, data: bytes) -> None:
    """Raise Refused unless libvirt, which gave the hook this XML of the domain, may go on.

    `operation` is `prepare`, `start` or `started`, each at its begin.
    """
    limit_time()
    domain = parse(data)
    if operation == "prepare" and (start := judged(name, domain)):
        prepare(start)
    if operation == "start" and (start := start_of(name, domain)):
        check_network(start)  # once more: libvirt has chosen by now what its networks come to
    if operation == "started":
        from .inotify import limit  # noqa: PLC0415

        limit(domain)


def limit_time() -> None:
    """Refuse the start after `CPU_LIMIT`; what then does not come back to Python is killed."""
    _signal.signal(_signal.SIGXCPU, out_of_time)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT + 1))


def out_of_time(*_: object) -> None:
    """Raise Refused: a handler of SIGXCPU."""
    raise Refused(
        f"its XML took {CPU_LIMIT} s of processor time to judge; where nothing is odd about it, "
        "start it again once the host is less busy"
    )


def prepare(start: Start) -> None:
    """Look at what the start relies on, then label init."""
    from .disk import check_modules, open_root  # noqa: PLC0415
    from .init import label_init  # noqa: PLC0415

    check_modules(start)
    if start.model.rules:
        from .rules import load_rules  # noqa: PLC0415

        load_rules(start.name)
    label_init(start, open_root(start))
