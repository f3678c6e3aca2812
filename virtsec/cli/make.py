"""`virtsec define`, `label` and `undefine`."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from virtsec.cli.complete import bases, confinements, egresses, init_policies
from virtsec.cli.options import (
    CpuShares,
    DryRun,
    Files,
    Inotify,
    IoWeight,
    Json,
    Name,
    Names,
    NetworkName,
    output_of,
)
from virtsec.cli.session import each, open_host, tell, watcher
from virtsec.errors import BadInput

if TYPE_CHECKING:
    from virtsec.commands.results import Labelled, Undefined


def define(  # noqa: PLR0917  (typer makes each parameter an option)
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", hidden=True)] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TREE|TAR|debian:SUITE",
            help="What to fill the root from; unless told otherwise the directory that is there, "
            "else a Debian of this host's release.",
        ),
    ] = None,
    rootfs: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="The root; /var/lib/virtsec/NAME/rootfs by default."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="BASE",
            help="Have the root be a layer on a tree that containers share; see `virtsec base`.",
            autocompletion=bases,
        ),
    ] = None,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="What it writes on its base is gone when it stops.")
    ] = False,
    privileged: Annotated[
        bool,
        typer.Option(
            "--privileged",
            help="Root inside is root outside: only the security module stands between.",
        ),
    ] = False,
    memory: Annotated[
        str,
        typer.Option(
            metavar="SIZE", show_default=False, help="Memory, such as 1G; 512M by default."
        ),
    ] = "512M",
    vcpus: Annotated[
        int, typer.Option(metavar="N", show_default=False, help="Processors; 1 by default.")
    ] = 1,
    swap: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            show_default=False,
            help="Swap besides memory, 0 for none; 512M by default.",
        ),
    ] = "512M",
    cpu_shares: CpuShares = None,
    io_weight: IoWeight = None,
    pids: Annotated[
        int,
        typer.Option(
            metavar="N", show_default=False, help="Processes and threads; 4096 by default."
        ),
    ] = 4096,
    files: Files = None,
    inotify: Inotify = None,
    network: NetworkName = None,
    bridge: Annotated[
        str | None, typer.Option(metavar="BR", help="A bridge of this host, instead of a network.")
    ] = None,
    no_network: Annotated[
        bool, typer.Option("--no-network", help="No network, but a loopback of its own.")
    ] = False,
    address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A/P", help="A static address, such as 192.168.122.10/24; repeatable."
        ),
    ] = None,
    gateway: Annotated[str | None, typer.Option(metavar="A", help="The router's address.")] = None,
    egress: Annotated[
        str,
        typer.Option(
            metavar="none|lan|all",
            show_default=False,
            help="Whom it may ask: nobody, who has a local address, or all (the default). Whoever "
            "may ask it gets an answer.",
            autocompletion=egresses,
        ),
    ] = "all",
    expose: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOSTPORT:PORT",
            help="Have a TCP port of it be one of this host's as well, for those outside; "
            "repeatable.",
        ),
    ] = None,
    mount: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SRC:DST[:OPTIONS]",
            help="A directory of this host seen inside, with `\\:` for a colon in a path; options "
            "are ro, which keeps it from being written, and idmap, by which user N inside is user "
            "N of this host in it, or both with a comma; repeatable.",
        ),
    ] = None,
    init: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            show_default=False,
            help="The first program, a path inside; /sbin/init by default.",
        ),
    ] = "/sbin/init",
    init_arg: Annotated[
        list[str] | None,
        typer.Option(metavar="ARG", help="An argument of that program; repeatable."),
    ] = None,
    init_policy: Annotated[
        str,
        typer.Option(
            metavar="own|pristine",
            show_default=False,
            help="Whether the container may replace its init (the default), or gets it back at "
            "each start.",
            autocompletion=init_policies,
        ),
    ] = "own",
    confinement: Annotated[
        str,
        typer.Option(
            metavar="type|category",
            show_default=False,
            help="Whether it has a policy of its own (the default), or shares one and is kept "
            "apart by its categories: defined without loading any. Smack makes no difference.",
            autocompletion=confinements,
        ),
    ] = "type",
    autostart: Annotated[bool, typer.Option("--autostart", help="Start it with the host.")] = False,
    from_xml: Annotated[
        Path | None,
        typer.Option(
            "--from-xml",
            metavar="FILE",
            help="Make it of the definition of an LXC domain instead: all is as that says.",
        ),
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make a container: its root, its policy and its domain.

    With no option at all it gets a Debian of this host's release, ids and labels of its own, and
    an address from libvirt's network 'default'.

    \b
    Example: virtsec define vs1 --from /srv/images/debian.tar --memory 1G
    """
    from dataclasses import replace  # noqa: PLC0415

    from virtsec import words  # noqa: PLC0415
    from virtsec.cli import render  # noqa: PLC0415
    from virtsec.commands import definition  # noqa: PLC0415  (slow imports)
    from virtsec.commands.bases import newest_base  # noqa: PLC0415
    from virtsec.commands.results import Planned, as_json  # noqa: PLC0415
    from virtsec.names import check_name  # noqa: PLC0415
    from virtsec.spec import ContainerSpec, Limits, default_root  # noqa: PLC0415

    output = output_of(context, json)
    if from_xml is not None:
        from virtsec.cli.given import check_alone, from_definition  # noqa: PLC0415

        check_alone(context)
        from_definition(output, from_xml, name, dry_run=dry_run)
        return
    if name is None:
        raise BadInput("Which name is the container to have?", "Run `virtsec define NAME`.")
    root = PurePosixPath(rootfs) if rootfs else default_root(check_name(name))
    spec = ContainerSpec(
        name=name,
        rootfs=root,
        source=source,
        scratch=scratch,
        privileged=privileged,
        limits=Limits(
            memory_mib=words.memory(memory),
            swap_mib=words.swap(swap),
            vcpus=vcpus,
            cpu_shares=cpu_shares,
            io_weight=io_weight,
            pids=pids,
            files=files,
            inotify=Limits().inotify if inotify is None else inotify,
        ),
        network=words.network(network, bridge, no_network, address or (), gateway),
        mounts=tuple(words.mount(text) for text in mount or ()),
        init=PurePosixPath(init),
        init_args=tuple(init_arg or ()),
        init_policy=words.init_policy(init_policy),
        apart_by=words.apart_by(confinement),
        autostart=autostart,
        egress=words.egress(egress),
        exposed=tuple(sorted({words.exposed(text) for text in expose or ()})),
    )
    host = open_host(output)
    if base is not None:
        spec = replace(spec, base=newest_base(base))
    if dry_run:
        planned = Planned.of(definition.plan(spec, host))
        output.show(as_json(planned), lambda: render.planned(output, planned))
    else:
        defined = definition.define(spec, host, watcher(output))
        output.show(as_json(defined), lambda: render.defined(output, defined))


def label(context: typer.Context, names: Names, json: Json = False) -> int:
    """Put the right owners and labels on containers' files.

    The containers must not run.

    \b
    Example: virtsec label vs1
    """
    from virtsec.commands import definition  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    host = open_host(output)
    watch = watcher(output)

    def render(labelled: "Labelled") -> None:
        output.say(f"Labelled {labelled.rootfs}, the root of {labelled.name}.")

    return each(output, names, lambda name: definition.label(name, host, watch), render)


def set_(  # noqa: PLR0917  (typer makes each parameter an option)
    context: typer.Context,
    name: Name,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Memory, such as 1G.")] = None,
    swap: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Swap besides memory, 0 for none.")
    ] = None,
    vcpus: Annotated[int | None, typer.Option(metavar="N", help="Processors.")] = None,
    cpu_shares: CpuShares = None,
    io_weight: IoWeight = None,
    pids: Annotated[int | None, typer.Option(metavar="N", help="Processes and threads.")] = None,
    files: Files = None,
    inotify: Inotify = None,
    privileged: Annotated[
        bool | None,
        typer.Option(
            "--privileged/--unprivileged",
            show_default=False,
            help="Whether root inside is root outside; of a container that does not run.",
        ),
    ] = None,
    egress: Annotated[
        str | None,
        typer.Option(
            metavar="none|lan|all",
            help="Whom it may ask: nobody, who has a local address, or all.",
            autocompletion=egresses,
        ),
    ] = None,
    expose: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOSTPORT:PORT",
            help="Have a TCP port of it be one of this host's as well; repeatable.",
        ),
    ] = None,
    unexpose: Annotated[
        list[int] | None,
        typer.Option(
            metavar="HOSTPORT",
            help="Take back what is exposed at this port of the host; repeatable.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Change a container's limits, its kind, or what it reaches.

    \b
    Example: virtsec set vs1 --memory 1G --pids 500
    """
    from virtsec import words  # noqa: PLC0415  (slow imports)
    from virtsec.cli import render  # noqa: PLC0415  (slow imports)
    from virtsec.commands import kinds, limiting, reaching  # noqa: PLC0415
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    wanted = {
        "memory_mib": None if memory is None else words.memory(memory),
        "swap_mib": None if swap is None else words.swap(swap),
        "vcpus": vcpus,
        "cpu_shares": cpu_shares,
        "io_weight": io_weight,
        "pids": pids,
        "files": files,
        "inotify": inotify,
    }
    given = {field: number for field, number in wanted.items() if number is not None}
    host = open_host(output)
    reached = egress is not None or bool(expose or unexpose)
    if (privileged is not None) + reached + bool(given) > 1:
        raise BadInput(
            "The kind of a container, its limits, and what it reaches are set one at a time.",
            "Run `virtsec set` once for each.",
        )
    if reached:
        reaches = reaching.reach(
            name,
            host,
            None if egress is None else words.egress(egress),
            [words.exposed(text) for text in expose or ()],
            unexpose or (),
        )
        output.show(as_json(reaches), lambda: render.reaching(output, reaches))
        return
    if privileged is not None:
        shifted = kinds.shift(name, host, privileged=privileged, watch=watcher(output))
        output.show(as_json(shifted), lambda: render.shifted(output, shifted))
        return
    limited = limiting.limit(name, given, host)
    output.show(as_json(limited), lambda: render.limited(output, limited))


def undefine(
    context: typer.Context,
    names: Names,
    storage: Annotated[
        bool, typer.Option("--storage", help="Remove the root with all its files, too.")
    ] = False,
    json: Json = False,
) -> int:
    """Forget containers; their roots stay without --storage.

    The containers must not run.

    \b
    Example: virtsec undefine vs1 --storage
    """
    from virtsec.commands import definition  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    host = open_host(output)
    watch = watcher(output)

    def render(undefined: "Undefined") -> None:
        root = "is gone" if undefined.removed else "stays for `virtsec define`"
        output.say(f"Undefined {undefined.name}; {undefined.rootfs} {root}.")

    return tell(output, definition.undefine(names, host, storage, watch).items(), render)
