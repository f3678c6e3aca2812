"""The texts of rules: the base that `virtsec setup` loads, and one file per container."""

from __future__ import annotations

from collections.abc import Sequence

from virtsec.mac.protocol import Policy
from virtsec.mac.smack.rule import Rule, check_label, parse
from virtsec.resources import resource
from virtsec.spec import Addition

#: The base's file in accesses.d; a container's has its name after a hyphen, and no container's
#: name begins with `virtsec-`.
BASE = "virtsec"


def text(name: str) -> str:
    """A file of policies/smack as this version has it."""
    return resource("policies", "smack", name).read_text()


def base_rules() -> list[Rule]:
    """The rules every host of containers needs."""
    return parse(text("virtsec.rules"), "virtsec.rules")


def container_policy(name: str, additions: Sequence[Addition] = ()) -> Policy:
    """The rules of container `name`, `additions` last."""
    rules = text("container.rules").replace("{name}", check_label(name))
    if additions:
        rules += "#\n# Added by `virtsec policy suggest --apply`.\n"
    for each in additions:
        rules += f"{Rule(name, each.object, ''.join(each.access))}\n"
    return Policy(name, rules)
