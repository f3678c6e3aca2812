"""A kernel with Smack that is not there: what smackfs takes, keeps and answers.

For our own logic only. What the kernel really does is tested in the laboratory.
"""

from __future__ import annotations

from pathlib import Path

from virtsec.mac.smack.kernel import Smackfs
from virtsec.mac.smack.rule import FLOOR, STAR, Rule


class FakeSmackfs(Smackfs):
    """Decides as `smk_access` in the kernel's security/smack/smack_access.c."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.given: dict[tuple[str, str], str] = {}
        self.deaf: set[str] = set()  #: objects of rules that are lost without a word
        self.hosts: list[str] = []

    def there(self) -> bool:
        return True

    def load(self, rule: Rule) -> None:
        if rule.object not in self.deaf:
            self.given[rule.subject, rule.object] = rule.access.replace("-", "")

    def allows(self, rule: Rule) -> bool:
        if STAR in {rule.subject, rule.object}:
            return rule.subject != STAR
        if rule.subject == rule.object:
            return True
        if rule.object == FLOOR and set(rule.access) <= set("rx"):
            return True
        given = self.given.get((rule.subject, rule.object), "")
        return bool(given) and set(rule.access) <= set(given)

    def revoke(self, subject: str) -> None:
        for pair in self.given:
            if pair[0] == subject:
                self.given[pair] = ""

    def rules(self) -> list[Rule]:
        return [Rule(*pair, access) for pair, access in self.given.items() if access]

    def unconfined(self) -> str:
        return ""

    def label_hosts(self, line: str) -> None:
        self.hosts.append(line)
