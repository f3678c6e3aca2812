"""`virtsec clone`, `rename`, `export` and `import`."""

from pathlib import Path
from typing import Annotated

import typer

from virtsec.cli.options import Json, Name, output_of
from virtsec.cli.session import open_host, watcher
from virtsec.errors import BadInput

New = Annotated[str, typer.Argument(metavar="NEW", help="What it is to be called.")]
Address = Annotated[
    list[str] | None,
    typer.Option(
        metavar="A/P", help="A static address for it, such as 192.168.122.10/24; repeatable."
    ),
]


def clone(
    context: typer.Context, name: Name, new: New, address: Address = None, json: Json = False
) -> None:
    """Make a container like another one that does not run.

    Ids, labels, host name and machine-id are its own; keys and passwords in its files are the
    other's. Without an address of its own it asks for one by DHCP. Links are not copied.

    \b
    Example: virtsec clone vs1 vs2
    """
    from virtsec import words  # noqa: PLC0415  (slow imports)
    from virtsec.cli import render  # noqa: PLC0415  (slow imports)
    from virtsec.commands import copies  # noqa: PLC0415
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    addresses = [words.address(text) for text in address or ()]
    made = copies.clone(name, new, open_host(output), addresses, watcher(output))
    output.show(as_json(made), lambda: render.defined(output, made))


def rename(context: typer.Context, name: Name, new: New, json: Json = False) -> None:
    """Give a container that does not run another name.

    Its labels, its place in the store and the links of others to it follow. libvirt knows it by
    another UUID from then on.

    \b
    Example: virtsec rename vs1 web
    """
    from virtsec.commands import copies  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    renamed = copies.rename(name, new, open_host(output), watcher(output))
    output.show(as_json(renamed), lambda: output.say(f"{name} is called {new} now."))


def export(
    context: typer.Context,
    name: Name,
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="Ends in .tar, .gz, .tgz, .xz or .zst.")
    ],
    json: Json = False,
) -> None:
    """Write a container that does not run into an archive.

    Owners in it count from 0, and labels are left out: it can be imported on any host, under either
    security module, and unpacked by tar.

    \b
    Example: virtsec export vs1 /srv/vs1.tar.zst
    """
    from virtsec.commands import copies  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    written = copies.export(name, path, open_host(output))
    output.show(
        as_json(written), lambda: output.say(f"Wrote {name} to {path}, {written.size} bytes.")
    )


def import_(  # noqa: PLR0917  (typer makes each parameter an option)
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What `virtsec export` wrote.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another name than it had.")
    ] = None,
    address: Address = None,
    dhcp: Annotated[
        bool, typer.Option("--dhcp", help="Let it ask for an address, whatever it had.")
    ] = False,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Also make it privileged, mount directories of the host, add to its policy.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Make the container that `virtsec export` wrote.

    Ids and labels are made anew. Links are not taken along. What reaches the host, such as mounted
    directories, is only with --trust: whoever made the archive says what it has.

    \b
    Example: virtsec import /srv/vs1.tar.zst --name vs2 --dhcp
    """
    from virtsec import words  # noqa: PLC0415  (slow imports)
    from virtsec.cli import render  # noqa: PLC0415  (slow imports)
    from virtsec.commands import copies  # noqa: PLC0415
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    if address and dhcp:
        raise BadInput(
            "A container has static addresses or asks for one.",
            "Give --address or --dhcp, not both.",
        )
    addresses = [words.address(text) for text in address or ()] if address or dhcp else None
    made = copies.import_(path, open_host(output), name, addresses, watcher(output), trusted=trust)
    output.show(as_json(made), lambda: render.defined(output, made))
