"""Every file that is generated, by where it is beneath `docs`."""

from __future__ import annotations

from collections.abc import Mapping

from docs.generate import commands, documents, exits, fleet, manual, markdown, metadata, spec


def pages() -> Mapping[str, str]:
    """All of them, from the code as it is."""
    every = commands.commands()
    return {
        "reference/commands.md": markdown.page(commands.blocks(every)),
        "reference/exit-status.md": markdown.page(exits.blocks(every)),
        "reference/fleet.md": markdown.page(fleet.blocks(every)),
        "reference/json.md": markdown.page(documents.blocks()),
        "reference/metadata.md": markdown.page(metadata.blocks()),
        "reference/spec.md": markdown.page(spec.blocks()),
        "man/virtsec.1": manual.virtsec(every),
        "man/virtsec-fleet.5": manual.virtsec_fleet(every),
    }
