"""Judges a container of virtsec before it starts, and labels its init: what libvirt's hook does.

It refuses those

  - whose XML is not what their metadata in it and the tables below say: `CHECKS`;
  - whose metadata is gone or broken while emulator or root still are virtsec's;
  - whose controller, root, mounts or init are not, on disk, what a start may rely on.

Then it puts init's label on the file that init is now. The container wrote that file, so the kernel
resolves its path inside the root, and only an inode that carries a label of this very container is
ever changed: no link, rename or mount inside the tree leads to one outside it. Once the container
is started its share of inotify is limited, before it can have taken more.

One file, standard library only, run as root. So imports are weighed: `posix` is what `os` is made
of and is loaded already, and what not every container needs is imported where it is used. It never
calls libvirt, which is waiting.
"""
# ruff: noqa: PLC0415

import posix

NAMESPACE, VERSION = "urn:virtsec:container", "1"  # of the metadata
LXC_NAMESPACE = "http://libvirt.org/schemas/domain/lxc/1.0"
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

NAME_LETTERS = set("abcdefghijklmnopqrstuvwxyz0123456789-")
PORT, MOST_PORT = "vs-", 15  # IFNAMSIZ of if.h, less the NUL
INTERFACES = {"network", "bridge"}  # those whose other end is a bridge that the host filters
LOWEST_ID, ID_COUNT = 65536, 65536  # of an unprivileged container; ids below are the host's own
LIBVIRT_MOUNTS = ("/proc", "/sys", "/dev", "/.oldroot")  # libvirt_lxc mounts there itself
XML_LIMIT, ELEMENT_LIMIT, DEPTH_LIMIT = 1 << 20, 10_000, 64  # bytes, all, those in each other
CPU_LIMIT = 2  # seconds
INOTIFY, WATCHES = 64, 128  # instances of a container unless told otherwise, watches for each
PACKETS = "/run/virtsec-packets"  # is there while virtsec-packets.service runs
TEMPORARY = ".init.virtsec"  # in the tree, for as long as init is being replaced
PUT_BACK, MEND = "put it back with 'virsh edit'", "mend the tree or unpack it anew"

# Kernel constants, and the headers they stand in.
S_IFMT, S_IFDIR, S_IFREG, S_IFLNK, S_ISVTX = 0o170000, 0o40000, 0o100000, 0o120000, 0o1000  # stat.h
BY_OTHERS, EXECUTABLE = 0o022, 0o111  # stat.h: S_IWGRP|S_IWOTH, S_IXUSR|S_IXGRP|S_IXOTH
SYS_openat2, AT_FDCWD = 437, -100  # asm-generic/unistd.h (on all architectures), fcntl.h
NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, IN_ROOT = 0x01, 0x02, 0x04, 0x10  # openat2.h: RESOLVE_*
EAGAIN, CLONE_NEWUSER = 11, 0x10000000  # errno.h, linux/sched.h
O_ENTRY = posix.O_PATH | posix.O_NOFOLLOW | posix.O_CLOEXEC  # names an inode without opening it


class Refused(Exception):
    """Why a domain is not started, and what to do about it, in one sentence."""


def require(holds: object, sentence: str) -> None:
    """Raise Refused unless it holds."""
    if not holds:
        raise Refused(sentence)


class SELinux:
    """Types named after the container or shared, and a pair of categories no other one has."""

    running = "/sys/fs/selinux/enforce"  # is there only while the module runs
    attribute, end = "security.selinux", "\0"  # where a file's label is, and what ends it
    exec_attribute = ""  # one that would change the label of who executes the file
    forms = "system_r:{}_t", "object_r:{}_file_t", "object_r:{}_exec_t"
    shared = "virtsec_shared"  # no container can be called so

    @classmethod
    def labels(cls, name: str, process: str) -> tuple[str, ...]:
        """Labels of processes, files and init, given what the first is said to be."""
        low, high = (int(number) for number in process.rpartition(":c")[2].split(",c"))
        require(0 <= low < high < 1024, f"no container has the categories of {process}; {PUT_BACK}")
        stem = cls.shared if f":{cls.shared}_t:" in process else name
        return tuple(f"system_u:{form.format(stem)}:s0:c{low},c{high}" for form in cls.forms)


class Smack:
    """One label, the container's name."""

    running = "/sys/fs/smackfs/load2"
    query, kept = "/sys/fs/smackfs/access2", "/etc/smack/accesses.d/virtsec-"
    attribute, end, exec_attribute = "security.SMACK64", "", "security.SMACK64EXEC"

    @classmethod
    def labels(cls, name: str, _process: str) -> tuple[str, ...]:
        """See `SELinux.labels`."""
        return name, name, name


MODELS: dict[str, type[SELinux] | type[Smack]] = {"selinux": SELinux, "smack": Smack}


# Reading the domain.


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
        require(len(found) < 2, f"it has several elements {'/'.join(path)}; {PUT_BACK}")
        return found[0] if found else Element(path[-1], {})

    def get(self, attribute: str, *path: str) -> str:
        """An attribute of the one element at `path`; empty when either is not there."""
        return self.only(*path).attributes.get(attribute, "")

    def text(self, *path: str) -> str:
        """The text of the one element at `path`."""
        return "".join(self.only(*path).texts)


def parse(data: bytes) -> Element:
    """The root element of a document without surprises."""
    from xml.parsers import expat

    require(len(data) <= XML_LIMIT, f"its XML is longer than {XML_LIMIT} bytes; shorten it")

    elements = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal elements
        elements += 1
        require(elements <= ELEMENT_LIMIT, f"its XML has more than {ELEMENT_LIMIT} elements")
        require(len(nesting) <= DEPTH_LIMIT, f"its XML nests more than {DEPTH_LIMIT} elements")
        element = Element(name, attributes)
        nesting[-1].children.append(element)
        nesting.append(element)

    def end(_: str) -> None:
        nesting.pop()

    def text(data: str) -> None:
        nesting[-1].texts.append(data)

    def doctype(*_: object) -> None:
        raise Refused("its XML has a DOCTYPE, which libvirt never writes")

    nesting = [document := Element("", {})]
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Refused(f"its XML cannot be read ({error})") from None
    return document.children[0]


def parts(path: str) -> list[str]:
    """The components of an absolute path; none for '/', and for a path that is not plain."""
    found = [part for part in path.split("/") if part not in ("", ".")]
    return found if path.startswith("/") and ".." not in found else []


def beneath(path: str, *places: str) -> bool:
    """Whether `path` is one of `places` or beneath it."""
    return any(parts(path)[: len(parts(place))] == parts(place) for place in places)


def port_of(name: str) -> str:
    """The host's end of a container's network interface, by which the packet filter knows it.

    A name that is too long for an interface is stood for by the start of its digest, after a digit,
    which no container's name begins with: neither stands for another one's.
    """
    if len(PORT + name) <= MOST_PORT:
        return PORT + name
    import hashlib

    return f"{PORT}0{hashlib.sha256(name.encode()).hexdigest()}"[:MOST_PORT]


class Start:
    """A start to judge: the domain, and what virtsec wrote into its metadata when it defined it."""

    def __init__(self, name: str, domain: Element, metadata: Element) -> None:
        def value(attribute: str, element: str) -> str:
            return metadata.get(attribute, f"{NAMESPACE} {element}")

        def sane(holds: object, what: str) -> None:
            require(holds, f"the {what} in virtsec's metadata makes no sense; {PUT_BACK}")

        self.name, self.domain, self.kind = name, domain, metadata.get("kind")
        self.init, self.init_policy = value("path", "init"), value("policy", "init")
        self.root, self.controller = value("path", "root"), value("path", "controller")
        self.base, self.scratch = value("tree", "base"), value("scratch", "base") == "yes"
        files = value("files", "limits")
        self.orders = f"files {files}\n" if files else ""  # to the controller
        self.port = value("port", "egress")  # what the packet filter knows it by, if need be
        self.module, ids = value("model", "label"), (value("start", "ids"), value("count", "ids"))
        sane(metadata.get("version") == VERSION, "version")
        sane(self.kind in KEEP_BY_KIND, "kind")
        sane(name[:1].isalpha() and len(name) < 24 and set(name) <= NAME_LETTERS, "name")
        sane(self.root == "/" + "/".join(parts(self.root)) != "/", "root")
        sane(parts(self.init) and self.init_policy in ("own", "pristine"), "init")
        sane(self.controller in CONTROLLERS, "controller")
        sane(self.module in MODELS, "model of the label")
        self.model = MODELS[self.module]
        self.labels = self.model.labels(name, value("process", "label"))
        for label, attribute in zip(self.labels, ("process", "file", "init"), strict=True):
            sane(label == value(attribute, "label"), f"label of {attribute}")
        self.mapped = self.kind == "unprivileged"
        self.owner = int(ids[0]) if self.mapped else TRUSTED_IDS[0]  # of what is root's inside
        own = self.owner >= LOWEST_ID and ids == (str(self.owner), str(ID_COUNT))
        sane(own if self.mapped else ids == ("", ""), "ids")
        self.filesystems = [
            (each.get("type"), each.get("dir", "source"), each.get("dir", "target"))
            for each in domain.find("devices", "filesystem")
        ]
        mounted = {each[1] for each in self.filesystems if each[0] == "mount" and each[2] != "/"}
        for each in metadata.find(f"{NAMESPACE} idmap"):
            source = each.get("source")
            sane(self.mapped and source in mounted, "idmap")
            self.orders += f"idmap {self.owner} {source}\n"
        limited = metadata.find(f"{NAMESPACE} egress")
        sane(self.port == (port_of(name) if limited else ""), "egress")


# Judging the XML: each check raises Refused, saying why.


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
        # Where libvirt does not know the module, as with Smack, the controller sets the label.
        ("security label", labels, label if labels or start.module != "smack" else []),
        ("policy on capabilities", domain.get("policy", "features", "capabilities"), "deny"),
    ):
        require(found == expected, f"its {what} is {found or 'gone'}, not {expected}; {PUT_BACK}")


def check_capabilities(start: Start) -> None:
    """All capabilities are dropped, but for those a container needs."""
    for each in start.domain.only("features", "capabilities").children:
        wanted = each.get("state") == "off" or each.name in KEEP_BY_KIND[start.kind]
        require(wanted, f"it would keep the capability {each.name}; take it out with 'virsh edit'")


def check_mounts(start: Start) -> None:
    """Nothing lies over what libvirt mounts inside, and none of the host's kernel is shown."""
    for kind, source, target in start.filesystems:
        there = target == "/" or (parts(target) and not beneath(target, *LIBVIRT_MOUNTS))
        here = source == "/" or (parts(source) and not beneath(source, *LIBVIRT_MOUNTS))
        require(kind in ("mount", "bind", "ram"), f"it may not mount a {kind}; use type 'mount'")
        require(there, f"it may not mount anything on {target}; choose a directory inside")
        require(here or kind == "ram", f"it may not mount {source}; choose another directory")


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


def check_nothing_shared(start: Start) -> None:
    """No device and no namespace of the host is handed in."""
    for path in (("devices", "disk"), ("devices", "hostdev"), (f"{LXC_NAMESPACE} namespace",)):
        given = start.domain.find(*path)
        require(not given, f"<{path[-1]}> would hand in what is the host's; take it out")


def check_module(start: Start) -> None:
    """A label confines nothing while its security module does not run."""
    try:
        posix.stat(start.model.running)
    except FileNotFoundError:
        raise Refused(f"{start.module} does not run; boot with security={start.module}") from None


CHECKS = (
    check_values,
    check_capabilities,
    check_mounts,
    check_network,
    check_nothing_shared,
    check_module,
)


# Looking at the disk, and labelling init. Descriptors stay open: the process ends soon.


def openat2(directory: int, path: str, resolve: int) -> int:
    """An O_PATH descriptor of `path`, resolved as openat2(2) says; raises OSError."""
    import ctypes

    system_call = ctypes.CDLL(None, use_errno=True).syscall
    how = (ctypes.c_uint64 * 3)(posix.O_PATH | posix.O_CLOEXEC, 0, resolve)  # struct open_how
    name = path.encode(errors="surrogateescape")
    for _ in range(64):
        entry = int(system_call(SYS_openat2, directory, name, how, ctypes.sizeof(how)))
        error = ctypes.get_errno()
        if entry >= 0:
            return entry
        if error != EAGAIN:  # EAGAIN: something was renamed meanwhile
            break
    raise OSError(error, posix.strerror(error), path)


def open_trusted(path: str, kind: int, owner: int) -> int:
    """An O_PATH descriptor of `path`, no part of which anyone but root can exchange."""
    entry = posix.open("/", O_ENTRY)
    status = posix.fstat(entry)
    for part in parts(path):
        shared = status.st_mode & BY_OTHERS and not status.st_mode & S_ISVTX
        safe = status.st_uid in TRUSTED_IDS and not shared
        require(safe, f"others than root may exchange {part!r} in {path}; take that away from them")
        entry = posix.open(part, O_ENTRY, dir_fd=entry)
        status = posix.fstat(entry)
        link = status.st_mode & S_IFMT == S_IFLNK
        require(not link, f"{part!r} in {path} is a symbolic link; name what it points to")
    right = status.st_mode & S_IFMT == kind and status.st_uid == owner
    require(right, f"{path} is not what it should be, of user {owner}; {MEND}")
    require(kind != S_IFREG or not status.st_mode & BY_OTHERS, f"others than root may write {path}")
    return entry


def check_mount_points(start: Start, root: int) -> None:
    """libvirt_lxc follows links when it makes mount points, some while it sees the host's tree."""
    places = [(root, place) for place in LIBVIRT_MOUNTS]
    for kind, source, target in start.filesystems:
        places += [(root, target)]
        places += {"mount": [(AT_FDCWD, source)], "bind": [(root, source)]}.get(kind, [])
    for directory, path in places:
        try:
            openat2(directory, path, NO_SYMLINKS | (IN_ROOT if directory == root else 0))
        except FileNotFoundError:
            require(directory == root, f"{path}, which it is to mount, is not there; make it")
        except OSError as error:
            raise Refused(f"{path} has a link in it or is not reached ({error.strerror})") from None


def check_layers(start: Start) -> None:
    """What the controller will mount the root on is what the metadata says, and only root's."""
    own = f"{STORE}/{start.name}"
    try:
        base, scratch = posix.readlink(f"{own}/base"), "scratch" in posix.listdir(own)
    except FileNotFoundError:
        base, scratch = "", False
    found, expected = (base, scratch), (start.base, start.scratch)
    require(found == expected, f"the base in {own} is {found}, not {expected}; {PUT_BACK}")
    if base:
        require(start.root == f"{own}/rootfs", f"its root is not in {own}; {PUT_BACK}")
        open_trusted(f"{STORE}/{base.removeprefix('../')}", S_IFDIR, TRUSTED_IDS[0])


def check_orders(start: Start) -> None:
    """What the controller will do by itself is what the metadata says, and only root's to say."""
    path = f"{STORE}/{start.name}/orders"
    try:
        posix.stat(path)
    except FileNotFoundError:
        found = ""
    else:
        entry = open_trusted(path, S_IFREG, TRUSTED_IDS[0])
        file = posix.open(f"/proc/self/fd/{entry}", posix.O_RDONLY)
        found = posix.read(file, XML_LIMIT).decode(errors="surrogateescape")
    same = {*found.split("\n")} == {*start.orders.split("\n")}  # in whatever order they are
    require(same, f"{path} says {found!r}, not {start.orders!r}; {PUT_BACK}")


def label_of(start: Start, inode: str) -> str:
    """The label of a file; empty when it has none."""
    try:
        label = posix.getxattr(inode, start.model.attribute)
    except OSError:
        return ""
    return label.decode(errors="replace").removesuffix(start.model.end)


def find_init(start: Start, root: int) -> str:
    """The path of a descriptor of what init is now: a program of this container, of no one else."""
    try:
        entry = openat2(root, start.init, IN_ROOT | NO_MAGICLINKS | NO_XDEV)
    except OSError as error:
        raise Refused(f"there is no init {start.init} inside ({error.strerror}); {MEND}") from None
    status, inode = posix.fstat(entry), f"/proc/self/fd/{entry}"
    program = status.st_mode & S_IFMT == S_IFREG and status.st_mode & EXECUTABLE
    require(program, f"its init {start.init} is not an executable file; {MEND}")
    own = not start.mapped or start.owner <= status.st_uid < start.owner + ID_COUNT
    require(own, f"its init {start.init} belongs to user {status.st_uid} of the host; {MEND}")
    label = label_of(start, inode)
    own = label in start.labels[1:]
    require(own, f"its init {start.init} has the label {label!r}; run 'virtsec label {start.name}'")
    jumps = start.model.exec_attribute in posix.listxattr(inode)
    require(not jumps, f"its init {start.init} has {start.model.exec_attribute}; take it away")
    return inode


def label_init(start: Start, inode: str) -> None:
    """Give init its label, and see that it has it."""
    label = start.labels[2]
    posix.setxattr(inode, start.model.attribute, (label + start.model.end).encode())
    require(label_of(start, inode) == label, f"its init did not take the label {label}")


def restore_init(start: Start, root: int, inode: str) -> None:
    """Put the copy of init that is kept outside the tree where init is, unless that is the same."""
    kept = open_trusted(f"{STORE}/{start.name}/init.pristine", S_IFREG, TRUSTED_IDS[0])
    copy = posix.open(f"/proc/self/fd/{kept}", posix.O_RDONLY)
    content = posix.read(copy, posix.fstat(copy).st_size)
    if posix.read(posix.open(inode, posix.O_RDONLY), len(content) + 1) == content:
        return
    place = posix.readlink(inode).removeprefix(posix.readlink(f"/proc/self/fd/{root}"))
    folder, _, name = place.rpartition("/")
    directory = openat2(root, folder or "/", IN_ROOT | NO_SYMLINKS | NO_XDEV)
    if TEMPORARY in posix.listdir(f"/proc/self/fd/{directory}"):
        posix.unlink(TEMPORARY, dir_fd=directory)  # of a start that was killed
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    new = posix.open(TEMPORARY, flags, 0o600, dir_fd=directory)
    try:
        require(posix.write(new, content) == len(content), "there is no room for its init")
        posix.fchown(new, start.owner, start.owner)
        posix.fchmod(new, 0o755)
        label_init(start, f"/proc/self/fd/{new}")
        posix.fsync(new)
        posix.rename(TEMPORARY, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        posix.unlink(TEMPORARY, dir_fd=directory)
        raise


def check_packets() -> None:
    """Refuse while nothing labels packets: no other container would be kept from its sockets."""
    try:
        posix.stat(PACKETS)
    except FileNotFoundError:
        raise Refused("virtsec-packets.service does not run; start it") from None


def load_rules(start: Start) -> None:
    """Load the rules kept for the container, and see that they hold and no rule opens the host."""
    if start.model is not Smack:
        return
    try:
        file = posix.open(Smack.kept + start.name, posix.O_RDONLY)
        kept = posix.read(file, posix.fstat(file).st_size)
    except FileNotFoundError as error:
        missing = error.filename
        raise Refused(f"{missing} is not there; undefine it and define it again") from None
    for rule in kept.splitlines():
        if rule[:1] not in (b"", b"#"):
            posix.write(posix.open(Smack.running, posix.O_WRONLY), rule)
    for subject, thing, access, expected in (
        ("_", start.name, "rwx", b"1"),
        (start.name, "_", "w", b"0"),
        (start.name, "_", "a", b"0"),
        (start.name, "host", "r", b"0"),
    ):
        query = posix.open(Smack.query, posix.O_RDWR)
        posix.write(query, f"{subject} {thing} {access}".encode())
        state = "no rule allows" if expected == b"1" else "a rule allows"
        sentence = f"{state} '{subject} {thing} {access}'; look into /etc/smack/accesses.d"
        require(posix.read(query, 1) == expected, sentence)


def prepare(start: Start) -> None:
    """Look at what the start relies on, then label init."""
    check_packets()
    load_rules(start)
    open_trusted(start.controller, S_IFREG, TRUSTED_IDS[0])
    root = open_trusted(start.root, S_IFDIR, start.owner)
    check_layers(start)
    check_orders(start)
    check_mount_points(start, root)
    if start.init_policy == "pristine":
        restore_init(start, root, find_init(start, root))
    label_init(start, find_init(start, root))


# The conversation with libvirt.


def metadata_of(domain: Element) -> Element | None:
    """virtsec's metadata in a domain, None in one of another's.

    Raises Refused for one whose metadata is gone while emulator or root are virtsec's, and for
    more of it than there is to be.
    """
    nodes = [child for metadata in domain.find("metadata") for child in metadata.children]
    ours = [node for node in nodes if node.name.startswith("urn:virtsec:")]
    paths = ["".join(each.texts) for each in domain.find("devices", "emulator")]
    for each in domain.find("devices", "filesystem"):
        paths += [each.get("dir", "source")] if each.get("dir", "target") == "/" else []
    if ours or any(beneath(path, STORE, *CONTROLLERS) for path in paths):
        known = [node.name for node in ours] == [f"{NAMESPACE} container"]
        require(known, f"virtsec's metadata is gone, or is not only one; {PUT_BACK}")
        return ours[0]
    return None


def judge(name: str, data: bytes) -> None:
    """Raise Refused, or leave the domain ready to start; one that is not ours is left alone."""
    domain = parse(data)
    metadata = metadata_of(domain)
    if metadata is None:
        return
    try:
        start = Start(name, domain, metadata)
    except ValueError as error:
        raise Refused(f"virtsec's metadata makes no sense ({error}); {PUT_BACK}") from None
    for check in CHECKS:
        check(start)
    prepare(start)


def limit_inotify(_name: str, data: bytes) -> None:
    """Keep a container that has just started from taking what all of them share.

    The kernel counts inotify instances and watches for each user namespace, and those of all
    containers together as if they were the host's root's own (sysctl/user.rst). Nobody inside can
    raise what is written here: no security module lets a container write these files.
    """
    domain = parse(data)
    ours = domain.find("metadata", f"{NAMESPACE} container")
    if [each.get("kind") for each in ours] != ["unprivileged"]:
        return
    instances = int(ours[0].get("inotify", f"{NAMESPACE} limits") or INOTIFY)
    write_inotify(int(domain.get("id")), instances)


def write_inotify(controller: int, instances: int) -> None:
    """Enter the user namespace of the controller's container, for good, and limit it there."""
    import ctypes

    children = posix.open(f"/proc/{controller}/task/{controller}/children", posix.O_RDONLY)
    init = int(posix.read(children, 4096).split()[0])
    namespace = posix.open(f"/proc/{init}/ns/user", posix.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    entered = libc.setns(namespace, CLONE_NEWUSER) == 0
    require(entered, f"its user namespace cannot be entered ({posix.strerror(ctypes.get_errno())})")
    for what, number in (("instances", instances), ("watches", instances * WATCHES)):
        limit = posix.open(f"/proc/sys/user/max_inotify_{what}", posix.O_WRONLY)
        posix.write(limit, str(number).encode())


def answer(name: str, operation: str, data: bytes) -> int:
    """Exit status for libvirt, which ran the hook for this domain and gave it this XML.

    `operation` is `prepare` or `started`, both at their begin.
    """
    work = {"prepare": judge, "started": limit_inotify}[operation]
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT))
        work(name, data)
        return 0
    except Refused as refusal:
        sentence = str(refusal)
    except BaseException as error:
        sentence = f"it could not be judged ({type(error).__name__}: {error})"
    line = " ".join(f"virtsec: {name} is not started: {sentence}.".split())
    line = line if len(line) < 600 else f"{line[:400]} ... {line[-150:]}"  # why, and the remedy
    posix.write(2, line.encode("unicode_escape") + b"\n")  # no name is obeyed by a terminal
    return 1
