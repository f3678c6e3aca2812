"""What `virtsec audit` says of the policy, and what attacks that it is about meet, for tests."""

import json
from typing import Any

from demo.shell import virtsec
from proving import outcomes

from virtsec.attacks.probe import Defence
from virtsec.mac.reach import Channel

#: Attacks by which one container would act on another, by what is left standing for them.
ATTACKS: dict[frozenset[Defence], dict[Channel, tuple[str, ...]]] = {
    frozenset({Defence.MAC}): {
        Channel.FILES: ("other-file-read", "other-file-write", "other-file-create"),
        Channel.SIGNALS: ("other-task-kill", "other-task-pidfd"),
    },
    frozenset({Defence.MAC, Defence.NAMESPACES}): {
        Channel.NETWORK: ("tcp4-other", "udp4-other"),
    },
}
Pair = tuple[str, str]


def audited(*words: str) -> tuple[int, Any]:
    """Exit status and document of `virtsec audit --json`."""
    done = virtsec("audit", "--json", *words, check=False)
    return done.returncode, json.loads(done.stdout)


def said(pairs: list[Pair]) -> set[tuple[str, str, str]]:
    """What is open between `pairs`, by the policy."""
    _, document = audited()
    return {
        (each["source"], each["target"], each["channel"])
        for each in document["open"]
        if (each["source"], each["target"]) in pairs
    }


def met(pairs: list[Pair]) -> set[tuple[str, str, str]]:
    """What attacks find open; those of one channel must agree with each other."""
    found = set()
    for one, other in pairs:
        for defences, by_channel in ATTACKS.items():
            came = outcomes(one, other, defences, [x for xs in by_channel.values() for x in xs])
            for channel, attacks in by_channel.items():
                outcome = {came[each] for each in attacks}
                assert outcome in ({"bites"}, {"refused"}), (one, other, channel, came)
                if outcome == {"bites"}:
                    found.add((one, other, channel.value))
    return found
