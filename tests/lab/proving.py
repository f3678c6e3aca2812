"""Each attack of verify with no defence at all, and with each of them alone: what proves it.

Run in a guest as `python3 -m proving vs1 vs3 vs2` it prints the guest's part of
`virtsec/attacks/proven.json`.
"""

import json
import sys
from collections.abc import Collection

from demo.shell import run
from machine.qemu import Lsm
from rules import answered, unlabelled

from virtsec.attacks.probe import Defence
from virtsec.attacks.probes import PROBES
from virtsec.attacks.proof import stage
from virtsec.commands.host import open_host
from virtsec.commands.verifying import host_side, side_of
from virtsec.step import Silent

#: What is the same for both kinds, and measured where there is no user namespace: in the other,
#: root of the host without the container's ids is nobody at all.
SHARED = (Defence.SECCOMP, Defence.NAMESPACES, Defence.CAPABILITY, Defence.CGROUP)

#: What came of each attack with one defence alone.
Alone = dict[Defence, dict[str, str]]


def outcomes(
    container: str, other: str, defences: frozenset[Defence], attacks: Collection[str]
) -> dict[str, str]:
    """What came of each of `attacks` from beside `container`, by a process with only `defences`.

    'bites', 'refused', or why it could not be tried.
    """
    host = open_host(Silent())
    found = {}
    with stage(host_side(host), side_of(container, host), side_of(other, host), defences) as attack:
        for identity in attacks:
            probe = PROBES[identity]
            said, seen = attack(probe)
            if said.get("refused") == "no answer":  # a busy machine may have been too slow
                said, seen = attack(probe)
            if seen or "got" in said:
                found[identity] = "bites"
            elif "refused" in said:
                found[identity] = "refused"
            else:
                found[identity] = next(iter(said.values()))
            print(f"{identity}: {'+'.join(sorted(defences)) or 'none'}: {said} {seen}",
                  file=sys.stderr, flush=True)  # fmt: skip
    return found


def proven(unprivileged: str, privileged: str, other: str) -> dict[str, dict[str, list[str]]]:
    """By kind and attack, for those that bite without any defence: what refuses it alone."""
    # libvirt's network has no IPv6 by itself, and without it nothing would reach over it.
    run("sysctl", "-q", "-w", "net.ipv6.conf.virbr0.disable_ipv6=0")
    undefended = outcomes(privileged, other, frozenset(), PROBES)
    bites = [identity for identity, outcome in undefended.items() if outcome == "bites"]
    with answered(module_in_force(), other):
        shared = {each: outcomes(privileged, other, frozenset({each}), bites) for each in SHARED}
        in_user = in_user_namespace(unprivileged, other, shared)
    found = {}
    for kind, container, own in (
        ("unprivileged", unprivileged, in_user),
        ("privileged", privileged, {}),
    ):
        alone = shared | own
        alone[Defence.MAC] = label_alone(container, other, alone)
        found[kind] = {
            identity: [
                _named(identity, each).value
                for each in Defence
                if each in alone and alone[each][identity] == "refused"
            ]
            for identity in bites
        }
    return found


def in_user_namespace(container: str, other: str, shared: Alone) -> Alone:
    """What came of every attack with the user namespace alone, and with capabilities alone.

    The latter is asked with the container's own ids, where the namespace does not refuse already:
    what is of the same user needs no capability. The former is asked of what goes to another
    container from the container's own network, of which its root is root; elsewhere it is nobody.
    """
    capability = shared[Defence.CAPABILITY]
    user = _from_its_network(container, other, frozenset({Defence.USER}), capability)
    both = frozenset({Defence.USER, Defence.CAPABILITY})
    as_itself = _from_its_network(container, other, both, _not_refused(user))
    return {Defence.USER: user, Defence.CAPABILITY: capability | as_itself}


def _from_its_network(
    container: str, other: str, defences: frozenset[Defence], attacks: Collection[str]
) -> dict[str, str]:
    to_another = [each for each in attacks if _labelled(each, Defence.NAMESPACES)]
    elsewhere = [each for each in attacks if each not in to_another]
    with unlabelled(module_in_force()):
        inside = outcomes(container, other, defences | {Defence.NAMESPACES}, to_another)
    return inside | outcomes(container, other, defences, elsewhere)


def label_alone(container: str, other: str, alone: Alone) -> dict[str, str]:
    """What came of every attack from beside `container` with nothing but its label to refuse it.

    Some attacks write files first, and in the host's tree the label refuses that already. So
    whatever namespaces alone do not refuse is attacked from inside of them; so is what they
    refuse only because packets that come through them are labelled. Likewise of the user
    namespace: SELinux asks there for capabilities of another class, which a container may have
    over itself.
    """
    beside: dict[frozenset[Defence], list[str]] = {}
    for identity in alone[Defence.NAMESPACES]:
        idle = frozenset(
            each
            for each in (Defence.NAMESPACES, Defence.USER)
            if each in alone and (alone[each][identity] != "refused" or _labelled(identity, each))
        )
        beside.setdefault(idle, []).append(identity)
    found: dict[str, str] = {}
    with unlabelled(module_in_force()):
        for others, attacks in beside.items():
            found |= outcomes(container, other, others | {Defence.MAC}, attacks)
    return found


def module_in_force() -> Lsm:
    """The security module that refuses here."""
    return Lsm(open_host(Silent()).mac.model)


def _not_refused(came: dict[str, str]) -> list[str]:
    return [identity for identity, outcome in came.items() if outcome != "refused"]


def _named(identity: str, defence: Defence) -> Defence:
    return Defence.NETWORK if _labelled(identity, defence) else defence


def _labelled(identity: str, defence: Defence) -> bool:
    """Whether namespaces refuse an attack only because what comes through them is labelled.

    That is so of what goes over the network from one container to another.
    """
    to_another = PROBES[identity].group == "network" and identity.endswith("-other")
    return to_another and defence is Defence.NAMESPACES


if __name__ == "__main__":
    print(json.dumps(proven(*sys.argv[1:4]), indent=1))
