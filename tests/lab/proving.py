"""Each attack of verify with no defence at all, and with each of them alone: what proves it.

Run in a guest as `python3 -m proving vs1 vs3 vs2` it prints the guest's part of
`virtsec/verify/proven.json`.
"""

import json
import sys

from demo.shell import run

from virtsec.commands.host import open_host
from virtsec.commands.verifying import host_side, side_of
from virtsec.step import Silent
from virtsec.verify.probe import Defence
from virtsec.verify.probes import PROBES
from virtsec.verify.proof import stage

#: What is the same for both kinds, and measured where there is no user namespace: in the other,
#: root of the host without the container's ids is nobody at all.
SHARED = (Defence.SECCOMP, Defence.NAMESPACES, Defence.CGROUP)
OWN = (Defence.USER, Defence.CAPABILITY, Defence.MAC)


def outcomes(container: str, other: str, defences: frozenset[Defence]) -> dict[str, str]:
    """What came of every attack from beside `container`, whose process has only `defences`.

    'bites', 'refused', or why it could not be tried.
    """
    host = open_host(Silent())
    found = {}
    with stage(host_side(host), side_of(container, host), side_of(other, host), defences) as attack:
        for probe in PROBES.values():
            said, seen = attack(probe)
            if said.get("refused") == "no answer":  # a busy machine may have been too slow
                said, seen = attack(probe)
            if seen or "got" in said:
                found[probe.id] = "bites"
            elif "refused" in said:
                found[probe.id] = "refused"
            else:
                found[probe.id] = next(iter(said.values()))
            print(f"{probe.id}: {'+'.join(sorted(defences)) or 'none'}: {said} {seen}",
                  file=sys.stderr, flush=True)  # fmt: skip
    return found


def proven(unprivileged: str, privileged: str, other: str) -> dict[str, dict[str, list[str]]]:
    """By kind and attack, for those that bite without any defence: what refuses it alone."""
    # libvirt's network has no IPv6 by itself, and without it nothing would reach over it.
    run("sysctl", "-q", "-w", "net.ipv6.conf.virbr0.disable_ipv6=0")
    bites = outcomes(privileged, other, frozenset())
    shared = {each: outcomes(privileged, other, frozenset({each})) for each in SHARED}
    found = {}
    for kind, container, own in (
        ("unprivileged", unprivileged, OWN),
        ("privileged", privileged, OWN[1:]),
    ):
        alone = shared | {each: outcomes(container, other, frozenset({each})) for each in own}
        found[kind] = {
            identity: [
                _named(identity, each).value
                for each in Defence
                if each in alone and alone[each][identity] == "refused"
            ]
            for identity, outcome in bites.items()
            if outcome == "bites"
        }
    return found


def _named(identity: str, defence: Defence) -> Defence:
    """What comes through a container's own interface is labelled there."""
    between = PROBES[identity].group == "network" and identity.endswith("-other")
    return Defence.NETWORK if between and defence is Defence.NAMESPACES else defence


if __name__ == "__main__":
    print(json.dumps(proven(*sys.argv[1:4]), indent=1))
