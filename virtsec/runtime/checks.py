"""What of a domain's XML is compared with its metadata, and what it may not say at all.

`CHECKS` is all of it: each looks at one thing, changes nothing, asks nobody, and raises Refused
with what it found and what it should be: so they tell before a start, too, what the hook will say.
What the XML says besides (memory, processors, a console) weakens no confinement.
"""

from .domain import PUT_BACK, TAKE_OUT, Element, beneath, parts
from .refusal import ID_COUNT, require
from .start import KINDS, PORT, Start, port_of, start_of

LXC_NAMESPACE = "http://libvirt.org/schemas/domain/lxc/1.0"
INTERFACES = {"network", "bridge"}  # those whose other end is a bridge that the host filters
LIBVIRT_MOUNTS = ("/proc", "/sys", "/dev", "/.oldroot")  # libvirt_lxc mounts there itself

#: Capabilities a container keeps, by libvirt's names, and what for. It never gets another one.
KEEP = {
    "audit_write": "sshd and login write their records to the audit log",
    "chown": "packages, tmpfiles and login give files to users of the container",
    "dac_override": "root inside works on files of the container's users",
    "fowner": "root inside sets modes and times of files of the container's users",
    "fsetid": "chown and package upgrades keep the setgid bits of files and directories",
    "kill": "systemd stops services that run as other users",
    "net_admin": "addresses and routes are set in the container's own network namespace",
    "net_bind_service": "sshd and nginx listen on ports below 1024",
    "net_raw": "ping and DHCP clients open raw sockets in the container's own network namespace",
    "setfcap": "package upgrades put back file capabilities, such as those of ping",
    "setgid": "sshd and systemd start processes with other groups",
    "setpcap": "systemd takes capabilities away from the services it starts",
    "setuid": "sshd and systemd start processes as other users",
    "sys_admin": "systemd mounts in its own mount namespace and does not come up without it",
    "sys_boot": "shutdown and reboot inside stop or restart the container, never the host",
    "sys_chroot": "sshd confines its unprivileged half in an empty directory",
    "sys_resource": "systemd raises the limits of services that ask for it",
}
KEEP_BY_KIND = dict.fromkeys(KINDS, frozenset(KEEP))


def said(found: object) -> str:
    """A value as people read it: of several the parts of each, one after the other."""
    if isinstance(found, list):
        found = ", ".join(" ".join(filter(None, each)) for each in found)
    return str(found or "gone")


def check_values(start: Start) -> None:
    """What stands in the XML once, with one value."""
    domain = start.domain
    maps = [
        (each.name, each.get("start"), each.get("target"), each.get("count"))
        for each in domain.only("idmap").children
    ]
    ids = ("0", str(start.owner), str(ID_COUNT))
    own_maps = [("uid", *ids), ("gid", *ids)] if start.mapped else []
    labels = [(e.get("type"), e.get("model"), e.text("label")) for e in domain.find("seclabel")]
    label = [("static", start.module, start.labels[0])]
    roots = [each for each in start.filesystems if each[2] == "/"]
    for what, found, expected in (
        ("type", domain.get("type"), "lxc"),
        ("name", domain.text("name"), start.name),
        ("emulator", domain.text("devices", "emulator"), start.controller),
        ("kind of system", domain.text("os", "type"), "exe"),
        ("init", domain.text("os", "init"), start.init),
        ("root", roots, [("mount", start.root, "/")]),
        ("id map", maps, own_maps),
        # The controller shows the container this part of the cgroup tree, and no other.
        ("partition", domain.text("resource", "partition"), f"/machine/{start.name}"),
        # Where libvirt has no driver for the module, the controller sets the label.
        ("security label", labels, label if labels or start.model.driver else []),
        ("policy on capabilities", domain.get("policy", "features", "capabilities"), "deny"),
    ):
        require(found == expected, f"its {what} is {said(found)}, not {said(expected)}; {PUT_BACK}")


def check_capabilities(start: Start) -> None:
    """All capabilities are dropped, but for those a container needs."""
    for each in start.domain.only("features", "capabilities").children:
        wanted = each.get("state") == "off" or each.name in KEEP_BY_KIND[start.kind]
        require(wanted, f"it would keep the capability {each.name}; {TAKE_OUT}")


def check_mounts(start: Start) -> None:
    """Nothing lies over what libvirt mounts inside, and none of the host's kernel is shown."""
    for kind, source, target in start.filesystems:
        there = target == "/" or (parts(target) and not beneath(target, *LIBVIRT_MOUNTS))
        here = source == "/" or (parts(source) and not beneath(source, *LIBVIRT_MOUNTS))
        over = [each for _, _, each in start.filesystems if each != "/" and beneath(target, each)]
        require(kind in ("mount", "ram"), f"it may not mount a {kind}; use type 'mount'")
        require(there, f"it may not mount anything on {target}; choose a directory inside")
        require(here or kind == "ram", f"it may not mount {source}; choose another directory")
        # Where one mount lies in another, whoever wrote the outer one says where the inner one is.
        require(len(over) < 2, f"it may not mount anything on {target}, where something else is")


def check_network(start: Start) -> None:
    """It has a network namespace of its own, with a bridge of the host at the other end."""
    kinds = [each.get("type") for each in start.domain.find("devices", "interface")]
    own = kinds or start.domain.find("features", "privnet")
    require(own, "it would share the host's network; give it an <interface> or <privnet/>")
    for kind in kinds:
        require(kind in INTERFACES, f"its interface has type {kind}; use 'network' or 'bridge'")
    ports = [each.get("dev", "target") for each in start.domain.find("devices", "interface")]
    others = [each for each in ports if each.startswith(PORT) and each != port_of(start.name)]
    require(not others, f"what is for {others} would come to it; {PUT_BACK}")
    limited = not start.port or ports == [start.port]
    require(limited, f"what it may send is limited at {start.port}, not {ports}; {PUT_BACK}")
    switch = start.domain.find("devices", "interface", "virtualport")
    require(not switch, f"its <virtualport> is none of a bridge that the host filters; {TAKE_OUT}")


def check_nothing_shared(start: Start) -> None:
    """No device and no namespace of the host is handed in, and no user looked up inside.

    libvirt_lxc would look for it in the container's files, by the container's libraries, before it
    takes on the label.
    """
    for path in (("devices", "disk"), ("devices", "hostdev"), (f"{LXC_NAMESPACE} namespace",)):
        given = start.domain.find(*path)
        require(not given, f"<{path[-1]}> would hand in what is the host's; take it out")
    clocks = [each for each in start.domain.find("clock", "timer") if each.get("present") != "no"]
    require(not clocks, f"its <timer> would hand in a clock of the host's; {TAKE_OUT}")
    for name in ("inituser", "initgroup"):
        given = start.domain.find("os", name)
        require(not given, f"<{name}> would have code of its own run unconfined; {TAKE_OUT}")


CHECKS = (check_values, check_capabilities, check_mounts, check_network, check_nothing_shared)


def judged(name: str, domain: Element) -> Start | None:
    """The start of a domain that says of itself what it may; None when it is none of ours."""
    start = start_of(name, domain)
    if start:
        for check in CHECKS:
            check(start)
    return start
