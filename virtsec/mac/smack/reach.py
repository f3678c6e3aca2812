"""What Smack's rules as loaded let containers reach, asked of the kernel itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from virtsec.mac.reach import Access, Channel
from virtsec.mac.smack.kernel import Smackfs
from virtsec.mac.smack.rule import FLOOR, HOST, LINK, NET, REST, STAR, Rule
from virtsec.spec import Label

#: Labels the kernel knows without a rule (Smack.rst): floor, hat, star.
_BUILT_IN = (FLOOR, "^", STAR)
_LETTER = {Access.READ: "r", Access.WRITE: "w", Access.EXECUTE: "x"}
#: What `w` to a task is: a signal, as is `a` where the kernel is built so; ptrace wants `rw`.
_ANY = "rwxatl"
_KEPT = {STAR: "devices that keep nothing, such as null"}


class SmackReach:
    """See `virtsec.mac.reach.Reach`."""

    def __init__(self, kernel: Smackfs, containers: Iterable[str], *, packets: bool) -> None:
        """`containers` are the labels of containers; `packets`: whether theirs are labelled."""
        self._kernel = kernel
        used = {word for rule in kernel.rules() for word in (rule.subject, rule.object)}
        self._host = sorted({*_BUILT_IN, HOST, REST, *used} - {NET, LINK} - set(containers))
        self._packets = NET if packets else FLOOR

    def host_labels(self) -> int:
        """See the protocol."""
        return len(self._host)

    def of_host(self, label: Label) -> Mapping[Access, Collection[str]]:
        """See the protocol."""
        return {access: self._may(label.process, letter) for access, letter in _LETTER.items()}

    def between(self, one: Label, other: Label) -> Mapping[Channel, Collection[str]]:
        """See the protocol."""
        found = {
            Channel.FILES: self._rules(one.process, other.file, _ANY),
            Channel.SIGNALS: self._rules(one.process, other.process, "wa"),
            Channel.NETWORK: self._rules(self._packets, other.process, "w"),
        }
        return {channel: rules for channel, rules in found.items() if rules}

    def through(self, one: Label, other: Label) -> Mapping[str, str]:
        """See the protocol."""
        written = {*self._may(one.process, "w"), *self._may(one.process, "a")}
        both = written & {*self._may(other.process, "r"), *self._may(other.process, "x")}
        return {label: _KEPT.get(label, "") for label in sorted(both)}

    def _may(self, subject: str, letter: str) -> list[str]:
        return [each for each in self._host if self._kernel.allows(Rule(subject, each, letter))]

    def _rules(self, subject: str, thing: str, letters: str) -> list[str]:
        """The rule that the two come to, where any of the letters is allowed."""
        allowed = "".join(x for x in letters if self._kernel.allows(Rule(subject, thing, x)))
        return [str(Rule(subject, thing, allowed))] if allowed else []
