"""Each attack of verify with no defence at all, and with each of them alone: what proves it.

Run in a guest as `python3 -m proving vs1 vs3 vs2` it prints the guest's part of
`virtsec/verify/proven.json`.
"""

import json
import sys

from demo.shell import run
from machine.qemu import Lsm
from rules import unlabelled

from virtsec.commands.host import open_host
from virtsec.commands.verifying import host_side, side_of
from virtsec.step import Silent
from virtsec.verify.probe import Defence
from virtsec.verify.probes import PROBES
from virtsec.verify.proof import stage

#: What is the same for both kinds, and measured where there is no user namespace: in the other,
#: root of the host without the container's ids is nobody at all.
SHARED = (Defence.SECCOMP, Defence.NAMESPACES, Defence.CAPABILITY, Defence.CGROUP)


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
        ("unprivileged", unprivileged, in_user_namespace(unprivileged, other, shared)),
        ("privileged", privileged, {}),
    ):
        label = label_alone(container, other, shared[Defence.NAMESPACES])
        alone = shared | own | {Defence.MAC: label}
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


def in_user_namespace(
    container: str, other: str, shared: dict[Defence, dict[str, str]]
) -> dict[Defence, dict[str, str]]:
    """What came of every attack with the user namespace alone, and with capabilities alone.

    The latter is asked with the container's own ids, where the namespace does not refuse already:
    what is of the same user needs no capability.
    """
    user = outcomes(container, other, frozenset({Defence.USER}))
    both = outcomes(container, other, frozenset({Defence.USER, Defence.CAPABILITY}))
    capability = {
        identity: shared[Defence.CAPABILITY][identity] if outcome == "refused" else both[identity]
        for identity, outcome in user.items()
    }
    return {Defence.USER: user, Defence.CAPABILITY: capability}


def label_alone(container: str, other: str, namespaces: dict[str, str]) -> dict[str, str]:
    """What came of every attack from beside `container` with its label alone.

    Some attacks write files first, and in the host's tree the label refuses that already. So
    whatever namespaces alone do not refuse is attacked from inside of them; so is what they
    refuse only because packets that come through them are labelled.
    """
    label = frozenset({Defence.MAC})
    outside = outcomes(container, other, label)
    with unlabelled(Lsm(open_host(Silent()).mac.model)):
        inside = outcomes(container, other, label | {Defence.NAMESPACES})
    return {
        identity: outside[identity]
        if outcome == "refused" and not _between(identity)
        else inside[identity]
        for identity, outcome in namespaces.items()
    }


def _named(identity: str, defence: Defence) -> Defence:
    """What comes through a container's own interface is labelled there."""
    labelled = _between(identity) and defence is Defence.NAMESPACES
    return Defence.NETWORK if labelled else defence


def _between(identity: str) -> bool:
    """Whether an attack goes over the network from one container to another."""
    return PROBES[identity].group == "network" and identity.endswith("-other")


if __name__ == "__main__":
    print(json.dumps(proven(*sys.argv[1:4]), indent=1))
