#!/usr/bin/python3 -IS
"""libvirt's hook for LXC: judges a container of virtsec before it starts, and labels its init.

libvirt runs `50-virtsec NAME OPERATION STAGE EXTRA` with the domain's XML on standard input and
waits for it (https://libvirt.org/hooks.html). Status 1 stops the start; the sentence on standard
error reaches libvirt's log and whoever asked for the start. With status 0 passes at once

  - everything but `prepare begin` (refusing `reconnect begin` would kill a running container);
  - every domain that is not virtsec's.

Of virtsec's domains it refuses those

  - whose XML is not what their metadata in it and the tables below say: `CHECKS`;
  - whose metadata is gone or broken while emulator or root still are virtsec's;
  - whose controller, root, mounts or init are not, on disk, what a start may rely on.

Then it puts init's label on the file that init is now. The container wrote that file, so the kernel
resolves its path inside the root, and only an inode that carries a label of this very container is
ever changed: no link, rename or mount inside the tree leads to one outside it.

One file, standard library only, run as root for every LXC domain of the host. So imports are
weighed: `posix` is what `os` is made of and is loaded already, and what only virtsec's own domains
need is imported where it is used. It never calls libvirt, which is waiting.
"""

import posix
import sys

MARK = b"virtsec"  # in the XML of each of our domains: in its metadata and its emulator
NAMESPACE, VERSION = "urn:virtsec:container", "1"  # of the metadata
STORE = "/var/lib/virtsec"
CONTROLLERS = ("/usr/libexec/virtsec/controller",)
TRUSTED_IDS = (0,)  # the users who may own what a start relies on

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
KEEP_BY_KIND = {"unprivileged": frozenset(KEEP), "privileged": frozenset(KEEP)}

INTERFACES = ("network", "bridge")  # those whose other end is a bridge that the host filters
LOWEST_ID, ID_COUNT = 65536, 65536  # of an unprivileged container; ids below are the host's own
LIBVIRT_MOUNTS = ("/proc", "/sys", "/dev", "/.oldroot")  # libvirt_lxc mounts there itself
XML_LIMIT, DEPTH_LIMIT, CPU_LIMIT = 1 << 20, 64, 2  # bytes, nested elements, seconds
RESTORE = "put it back with 'virsh edit', or define the container anew"

# Kernel constants, and the headers they stand in.
S_IFMT, S_IFDIR, S_IFREG, S_IFLNK, S_ISVTX = 0o170000, 0o40000, 0o100000, 0o120000, 0o1000  # stat.h
BY_OTHERS, EXECUTABLE = 0o022, 0o111  # stat.h: S_IWGRP|S_IWOTH, S_IXUSR|S_IXGRP|S_IXOTH
SYS_openat2, AT_FDCWD = 437, -100  # asm-generic/unistd.h (on all architectures), fcntl.h
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_IN_ROOT = 1, 2, 4, 16  # openat2.h
O_ENTRY = posix.O_PATH | posix.O_NOFOLLOW | posix.O_CLOEXEC  # names an inode without opening it


class Model:
    """A security module as far as the hook must know it."""

    def __init__(self, in_force: str, attribute: str, exec_attribute: str, end: bytes, *forms: str):
        self.in_force = in_force  # a path that is there only while the module runs
        self.attribute = attribute  # the extended attribute that holds a file's label
        self.exec_attribute = exec_attribute  # one that changes the label of who executes the file
        self.end = end  # what the kernel puts behind a label
        self.forms = forms  # of the labels of processes, files and init

    def labels(self, name: str, process: str) -> tuple[str, ...]:
        """The labels of container `name`, given the one its processes are said to have."""
        level = process[process.find(":s0:") + 1 :]
        low, _, high = level.removeprefix("s0:c").partition(",c")
        sane = 0 <= number(low) < number(high) < 1024 and level == f"s0:c{low},c{high}"
        return tuple(form.format(name, level if sane else "") for form in self.forms)


MODELS = {
    "selinux": Model(
        "/sys/fs/selinux/enforce", "security.selinux", "", b"\0",
        "system_u:system_r:{}_t:{}", "system_u:object_r:{}_file_t:{}", "system_u:object_r:{}_exec_t:{}",
    ),
    "smack": Model(
        "/sys/fs/smackfs/load2", "security.SMACK64", "security.SMACK64EXEC", b"", "{}", "{}", "{}",
    ),
}  # fmt: skip


class Refused(Exception):
    """Why a domain is not started, and what to do about it, in one sentence."""


# Reading


class Element:
    """An element of the XML; a name in a namespace is 'URI NAME'."""

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.children: list[Element] = []
        self.texts: list[str] = []

    def find(self, *path: str) -> "list[Element]":
        """All elements at `path`, which has a name for each level."""
        found = [self]
        for name in path:
            found = [child for parent in found for child in parent.children if child.name == name]
        return found

    def only(self, *path: str) -> "Element":
        """The one element at `path`, an empty one if there is none; Refused if there are more."""
        found = self.find(*path)
        if len(found) > 1:
            raise Refused(f"it has {len(found)} elements <{path[-1]}> where one belongs; {RESTORE}")
        return found[0] if found else Element(path[-1], {})

    def get(self, attribute: str, *path: str) -> str:
        """An attribute of the one element at `path`; empty when either is not there."""
        return self.only(*path).attributes.get(attribute, "")

    def text(self, *path: str) -> str:
        """The text of the one element at `path`."""
        return "".join(self.only(*path).texts).strip()


def parse(data: bytes) -> Element:
    """The root element of a document without surprises."""
    from xml.parsers import expat

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(nesting) > DEPTH_LIMIT:
            raise Refused(f"its XML nests more than {DEPTH_LIMIT} elements; {RESTORE}")
        element = Element(name, attributes)
        nesting[-1].children.append(element)
        nesting.append(element)

    def doctype(*_: object) -> None:
        raise Refused("its XML has a DOCTYPE, which libvirt never writes")

    nesting = [document := Element("", {})]
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: nesting.pop()
    parser.CharacterDataHandler = lambda text: nesting[-1].texts.append(text)
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Refused(f"its XML cannot be read ({error})") from None
    return document.children[0]


def number(text: str) -> int:
    """A decimal number as virtsec writes it; -1 when `text` is anything else."""
    decimal = text.isascii() and text.isdecimal() and len(text) <= 10
    return int(text) if decimal and text == str(int(text)) else -1


def parts(path: str) -> list[str]:
    """The components of an absolute path; none for '/', and for a path that is not plain."""
    found = [part for part in path.split("/") if part not in ("", ".")]
    return found if path.startswith("/") and ".." not in found else []


def beneath(path: str, *places: str) -> bool:
    """Whether `path` is one of `places` or beneath it."""
    return any(parts(path)[: len(parts(place))] == parts(place) for place in places)


class Start:
    """A start to judge: the domain, and what virtsec wrote into its metadata when it defined it."""

    def __init__(self, name: str, domain: Element, metadata: Element) -> None:
        def value(attribute: str, element: str) -> str:
            return metadata.get(attribute, f"{NAMESPACE} {element}")

        self.name, self.domain, self.metadata = name, domain, metadata
        self.kind = metadata.get("kind")
        self.ids = [("0", value("start", "ids"), value("count", "ids"))]
        self.module, self.controller = value("model", "label"), value("path", "controller")
        self.labels = value("process", "label"), value("file", "label"), value("init", "label")
        self.root, self.init = value("path", "root"), value("path", "init")
        self.policy = value("policy", "init")
        self.mounts = [Mount(element) for element in domain.find("devices", "filesystem")]
