"""A page of what the policy lets containers reach, fit to hand to an auditor."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from virtsec.audits.matrix import svg
from virtsec.page import document, facts

if TYPE_CHECKING:
    from virtsec.audits.audited import Audited

_STYLE = "svg { max-width: 100%; height: auto; }"


def page(audited: Audited, now: datetime.datetime | None = None) -> str:
    """The page as HTML; pure when `now` is given."""
    when = (now or datetime.datetime.now(datetime.UTC)).strftime("%Y-%m-%d %H:%M UTC")
    good, words = ("held", f"{audited.promise()}.") if audited.sound else (
        "broken", "Not all is as it must be.")  # fmt: skip
    about = (
        ("Security module", f"{audited.model}, {audited.enforcement.value}"),
        ("Containers", str(len(audited.containers))),
        ("Labels of the host", str(audited.host_labels)),
    )
    host = (
        (
            each.name,
            each.label,
            *(_counted(labels) for labels in (each.read, each.write, each.execute)),
        )
        for each in audited.containers
    )
    body = [
        "<h1>What may containers reach?</h1>",
        f"<p>Asked by <code>virtsec audit</code> on {when} of the policy in force, without running "
        "anything. Namespaces, capabilities and file modes refuse much before it: this is what is "
        "left to a container that has broken through all of those.</p>",
        f'<p class="sum {good}">{words}</p>',
        facts(about),
        "<h2>Each other</h2>",
        svg(audited) if audited.containers else "<p>There is no container.</p>",
        _table(
            ("From", "To", "By", "What lets it"),
            (
                (each.source, each.target, each.channel.value, ", ".join(each.by))
                for each in audited.open
            ),
        ),
        "<h2>Links, opened on purpose</h2>",
        _table(
            ("May ask", "Whom", "At"),
            ((each.source, each.target, str(each)) for each in audited.links),
        ),
        "<h2>The host's files</h2>",
        _table(("Container", "Label", "Reads", "Writes", "Executes"), host),
        "<h2>What some may write and others read</h2>",
        _table(
            ("Label", "Keeps data from passing", "Written by", "Read by"),
            (
                (
                    each.through,
                    each.kept or "nothing that is known",
                    ", ".join(each.writers),
                    ", ".join(each.readers),
                )
                for each in audited.shared
            ),
        ),
        "<h2>Findings</h2>",
        _table(
            ("Of", "What is wrong", "What to do"),
            ((each.subject, each.sentence, each.remedy) for each in audited.findings),
        ),
    ]
    return document("What containers may reach", body, _STYLE)


def _counted(labels: tuple[str, ...]) -> str:
    return f"{len(labels)}: {', '.join(labels)}" if labels else "0"


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    if not body:
        return "<p>None.</p>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
