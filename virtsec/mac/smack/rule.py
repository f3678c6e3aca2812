"""Smack's labels and rules: `SUBJECT OBJECT ACCESS`, checked before the kernel sees them.

The kernel cuts a label at its first bad character and stops reading an access string at the first
letter it does not know, and says nothing either way (`smk_parse_smack` and `smk_perm_from_str` in
its security/smack). Source: Documentation/admin-guide/LSM/Smack.rst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from virtsec.errors import BadInput

MODEL = "smack"
#: What a file's label is kept in, and what makes a directory hand its own down.
ATTRIBUTE = "security.SMACK64"
TRANSMUTE = "security.SMACK64TRANSMUTE"
#: The label of the host's own tasks, and of files that have none.
FLOOR = "_"
#: What every task may do everything to (Smack.rst), such as /dev/null.
STAR = "*"
#: What containers may not even read; packets that containers sent, and those that a link lets
#: through; trees of no container.
HOST, NET, LINK, REST = "host", "net", "virtsec-link", "virtsec-rest"

MAX_LABEL = 255
_LABEL = re.compile(r"[!#-&(-.0-\[\]-~]+")  # printable ASCII without blanks, / \ ' and "
_ACCESS = re.compile(r"-|[rwxatl]+")


def check_label(label: str) -> str:
    """Return `label`, or raise `BadInput` when the kernel would cut or refuse it."""
    if label.startswith("-") or len(label) > MAX_LABEL or not _LABEL.fullmatch(label):
        raise BadInput(
            f"{label!r} is not a Smack label.",
            "Use letters, digits, dots, hyphens and underscores, and a letter first.",
        )
    return label


@dataclass(frozen=True, slots=True)
class Rule:
    """What tasks labelled `subject` may do to things labelled `object`; `-` is nothing."""

    subject: str
    object: str
    access: str

    def __post_init__(self) -> None:
        check_label(self.subject)
        check_label(self.object)
        repeated = len(set(self.access)) != len(self.access)
        if repeated or not _ACCESS.fullmatch(self.access):
            raise BadInput(f"{self.access!r} is not a Smack access.", "Use letters of rwxatl.")

    def __str__(self) -> str:
        return f"{self.subject} {self.object} {self.access}"


def parse(text: str, source: str) -> list[Rule]:
    """The rules in `text`, a line each; `#` begins a comment line. `source` is for sentences.

    Raises `BadInput` naming the line.
    """
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 3:
            raise BadInput(
                f"Line {number} of {source} is not 'SUBJECT OBJECT ACCESS'.", "Write all three."
            )
        try:
            rules.append(Rule(*words))
        except BadInput as error:
            raise BadInput(f"Line {number} of {source}: {error.sentence}", error.remedy) from None
    return rules
