"""A start to judge: what virtsec wrote into the domain's metadata when it defined the container.

Whoever can edit the domain can edit this too, so each value is one that virtsec would have written
for a container of that name, or there is no `Start`: its labels are made of its name and of nothing
but the categories it says, its ids are none of the host's own. What else the XML says is then
compared with it (`checks`), and so is what is on disk (`disk`).
"""

from .domain import PUT_BACK, Element, beneath, parts
from .refusal import ID_COUNT, SELINUX, SMACK, STORE, Refused, is_name, require

NAMESPACE, VERSION = "urn:virtsec:container", "1"  # of the metadata
CONTROLLER = "/usr/libexec/virtsec/controller"
KINDS = ("unprivileged", "privileged")
TRUSTED_IDS = (0,)  # the users who may own what a start relies on
LOWEST_ID = 65536  # of an unprivileged container; ids below are the host's own
PORT, MOST_PORT = "vs-", 15  # IFNAMSIZ of if.h, less the NUL
INOTIFY = 64  # instances of a container unless told otherwise


class SELinux:
    """Types named after the container or shared, and a pair of categories no other one has."""

    running = SELINUX
    attribute, end = "security.selinux", "\0"  # where a file's label is, and what ends it
    exec_attribute = ""  # one that would change the label of who executes the file
    driver = True  # libvirt has one, which sets the label that the XML names
    rules = ""  # none but the policy's
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

    running = SMACK
    attribute, end, exec_attribute = "security.SMACK64", "", "security.SMACK64EXEC"
    driver = False  # stock libvirt has none: the controller sets the label
    rules = "/etc/smack/accesses.d/virtsec-"  # and a container's name: those kept for it

    @classmethod
    def labels(cls, name: str, _process: str) -> tuple[str, ...]:
        """See `SELinux.labels`."""
        return name, name, name


MODELS: dict[str, type[SELinux] | type[Smack]] = {"selinux": SELinux, "smack": Smack}


def port_of(name: str) -> str:
    """The host's end of a container's network interface, by which the packet filter knows it.

    A name that is too long for an interface is stood for by the start of its digest, after a digit,
    which no container's name begins with: neither stands for another one's.
    """
    if len(PORT + name) <= MOST_PORT:
        return PORT + name
    import hashlib  # noqa: PLC0415 - few names are

    return f"{PORT}0{hashlib.sha256(name.encode()).hexdigest()}"[:MOST_PORT]


class Start:
    """The domain, and what its metadata says. Refused where that makes no sense."""

    def __init__(self, name: str, domain: Element, metadata: Element) -> None:
        self.name, self.domain, self.own = name, domain, f"{STORE}/{name}"
        try:
            self._read(metadata)
        except ValueError as error:
            raise Refused(f"virtsec's metadata makes no sense ({error}); {PUT_BACK}") from None

    def _read(self, metadata: Element) -> None:
        def value(attribute: str, element: str) -> str:
            return metadata.get(attribute, f"{NAMESPACE} {element}")

        def sane(holds: object, what: str) -> None:
            require(holds, f"the {what} in virtsec's metadata makes no sense; {PUT_BACK}")

        self.kind = metadata.get("kind")
        self.init, self.init_policy = value("path", "init"), value("policy", "init")
        self.root, self.controller = value("path", "root"), value("path", "controller")
        self.base, self.scratch = value("tree", "base"), value("scratch", "base") == "yes"
        self.port = value("port", "egress")  # what the packet filter knows it by, if need be
        self.module, ids = value("model", "label"), (value("start", "ids"), value("count", "ids"))
        sane(metadata.get("version") == VERSION, "version")
        sane(self.kind in KINDS, "kind")
        sane(is_name(self.name), "name")
        sane(self.root == "/" + "/".join(parts(self.root)) != "/", "root")
        sane(parts(self.init) and self.init_policy in ("own", "pristine"), "init")
        sane(self.controller == CONTROLLER, "controller")
        sane(self.module in MODELS, "model of the label")
        self.model = MODELS[self.module]
        self.labels = self.model.labels(self.name, value("process", "label"))
        for label, attribute in zip(self.labels, ("process", "file", "init"), strict=True):
            sane(label == value(attribute, "label"), f"label of {attribute}")
        self.mapped = self.kind == "unprivileged"
        self.owner = int(ids[0]) if self.mapped else TRUSTED_IDS[0]  # of what is root's inside
        own = self.owner >= LOWEST_ID and ids == (str(self.owner), str(ID_COUNT))
        sane(own if self.mapped else ids == ("", ""), "ids")
        files = value("files", "limits")
        self.orders = f"files {files}\n" if files else ""  # to the controller
        self.filesystems = [
            (each.get("type"), each.get("dir", "source"), each.get("dir", "target"))
            for each in self.domain.find("devices", "filesystem")
        ]
        mounted = {each[1] for each in self.filesystems if each[0] == "mount" and each[2] != "/"}
        for each in metadata.find(f"{NAMESPACE} idmap"):
            source = each.get("source")
            sane(self.mapped and source in mounted, "idmap")
            self.orders += f"idmap {self.owner} {source}\n"
        for each in self.domain.find("devices", "filesystem"):
            inside = each.get("type") == "mount" and each.get("dir", "target") != "/"
            if inside and each.find("readonly"):
                self.orders += f"ro {each.get('dir', 'source')}\n"
        limited = metadata.find(f"{NAMESPACE} egress")
        sane(self.port == (port_of(self.name) if limited else ""), "egress")


def start_of(name: str, domain: Element) -> Start | None:
    """The start of a domain, to be checked; None when it is none of ours.

    Refused when the metadata is gone while emulator or root are virtsec's, when there is more of it
    than there is to be, and when it makes no sense.
    """
    nodes = [child for metadata in domain.find("metadata") for child in metadata.children]
    ours = [node for node in nodes if node.name.startswith("urn:virtsec:")]
    paths = ["".join(each.texts) for each in domain.find("devices", "emulator")]
    for each in domain.find("devices", "filesystem"):
        paths += [each.get("dir", "source")] if each.get("dir", "target") == "/" else []
    if not ours and not any(beneath(path, STORE, CONTROLLER) for path in paths):
        return None
    known = [node.name for node in ours] == [f"{NAMESPACE} container"]
    require(known, f"virtsec's metadata is gone, or is not only one; {PUT_BACK}")
    return Start(name, domain, ours[0])
