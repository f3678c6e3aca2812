"""Containers for demonstration and tests: virtsec's, and those libvirt starts without it."""

import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from virtsec.cli.schema import info_document
from virtsec.commands.facts import gather
from virtsec.commands.host import open_host
from virtsec.commands.listing import info
from virtsec.domain.connection import DomainRecord, Libvirt
from virtsec.plans.define import plan_define
from virtsec.spec import STORE, ContainerSpec
from virtsec.step import Silent

from .shell import Result, run, stopped, virsh, virtsec, wait_for

IMAGE = Path("/srv/images/debian.tar")
BUSYBOX = Path("/srv/images/busybox.tar")
#: IMAGE with this guest's key for ssh in it.
KEYED = Path("/srv/images/debian-with-key.tar")
KEY = Path("/root/.ssh/demo")
SSH_FAILED = 255
MOMENTS = 10
#: Where a login leads, for as long as the container runs: to ask virtsec takes seconds.
ADDRESSES: dict[str, str] = {}
#: Binds of what is the host's: an unprivileged container cannot bind a tree with locked mounts.
HOST_ROOT, HOST_PROC, HOST_PTS = Path("/hostroot"), Path("/hostproc"), Path("/hostpts")
ATTACK_MOUNTS = (
    *("--mount", f"{HOST_ROOT}:/mnt"),
    *("--mount", f"{HOST_PROC}:/hostproc"),
    *("--mount", f"{HOST_PTS}:/hostpts"),
)


def prepare() -> None:
    """Make the key, the image that lets it in, and the binds; again does nothing."""
    if not KEYED.exists():
        KEY.parent.mkdir(mode=0o700, exist_ok=True)
        if not KEY.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(KEY))
        partial = KEYED.with_suffix(".partial")
        shutil.copy(IMAGE, partial)
        with tarfile.open(partial, "a") as image:
            folder = tarfile.TarInfo("./root/.ssh")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            image.addfile(folder)
            public = KEY.with_suffix(".pub")
            member = tarfile.TarInfo("./root/.ssh/authorized_keys")
            member.size, member.mode = public.stat().st_size, 0o600
            with public.open("rb") as content:
                image.addfile(member, content)
        partial.rename(KEYED)
    for place, source in ((HOST_PROC, "/proc"), (HOST_PTS, "/dev/pts"), (HOST_ROOT, "/")):
        place.mkdir(exist_ok=True)
        if not place.is_mount():
            run("mount", "--bind", source, str(place))
            # Else what is mounted on the host later appears beneath it, and cannot be bound.
            run("mount", "--make-private", str(place))


def load_policies(wanted: Mapping[str, bool]) -> None:
    """Load what confines containers that are to be defined, by name, True for privileged ones.

    One change of SELinux's policy takes half a minute here, whatever its size; `define` then finds
    its part of it there, as after a run that was interrupted.
    """
    host = open_host(Silent())
    if host.mac.ready() is not None:
        return  # `virtsec setup` was not run
    facts = gather(host)
    specs = [
        ContainerSpec(name, STORE / name / "rootfs", str(BUSYBOX), privileged)
        for name, privileged in wanted.items()
        if host.libvirt.domain(name) is None
    ]
    host.mac.load([plan_define(spec, facts, host.mac).policy for spec in specs])


#: Options of one that has no policy to be loaded, which takes half a minute here.
ALIKE = ("--confinement", "category")


def fleet_of(stem: str, count: int) -> str:
    """A fleet file: `count` containers of busybox on the base `stem`, without policies to load."""
    return (
        "version: 1\n"
        "defaults: {memory: 64M, confinement: category}\n"
        f"bases:\n  {stem}: {{from: {BUSYBOX}}}\n"
        f'containers:\n  - {{name: "{stem}-{{n}}", count: {count}, base: {stem}}}\n'
    )


@dataclass(frozen=True)
class Container:
    """A container that virtsec made from the Debian image."""

    name: str

    ARCHIVE: ClassVar[Path] = KEYED

    @property
    def rootfs(self) -> Path:
        """Its root, seen from the host."""
        return Path("/var/lib/virtsec", self.name, "rootfs")

    def define(self, *options: str) -> None:
        """Define it, unless it is there."""
        if self.record() is None:
            virtsec("define", self.name, "--from", str(self.ARCHIVE), *options)
            self.tell_apart()

    def tell_apart(self) -> None:
        """Have its page be its own."""
        page = self.rootfs / "var/www/html/index.html"
        page.write_text(f"This is {self.name}.\n")

    def info(self) -> dict[str, Any]:
        """What `virtsec info --json` says of it. By the library: it is asked again and again."""
        host = open_host(Silent())
        return info_document(host.mac.enforcement(), info(self.name, host))

    def record(self) -> DomainRecord | None:
        """What libvirt says of it, likewise; None where there is no such domain."""
        return Libvirt.connect().domain(self.name)

    def running(self) -> bool:
        """Whether libvirt says that it runs."""
        record = self.record()
        return record is not None and record.active

    def start(self) -> None:
        """Start it, unless it runs, and wait until it serves."""
        if not self.running():
            virtsec("start", self.name)
        self.wait()

    def confined(self) -> bool:
        """Whether it runs with the label it is defined with.

        libvirt calls it started some moments before init is executed, which is when it gets it.
        """
        for _ in range(MOMENTS):
            if self.running() and self.info()["label_holds"] is True:
                return True
            time.sleep(0.5)
        return False

    def stop(self) -> None:
        """Stop it now, if it runs."""
        if self.running():
            virtsec("destroy", self.name)

    def address(self) -> str:
        """Its IPv4 address, empty while it has none."""
        addresses = [str(each).split("/")[0] for each in self.info()["addresses"]]
        return next((each for each in addresses if "." in each), "")

    def page(self) -> str:
        """What its web server sends, empty when it does not answer."""
        address = self.address()
        if not address:
            return ""
        return run("curl", "-s", "--max-time", "20", f"http://{address}/", check=False).stdout

    def wait(self) -> None:
        """Wait until its page comes and ssh lets us in."""
        try:
            wait_for(f"the page of {self.name}", lambda: self.name in self.page())
            wait_for(f"ssh to {self.name}", lambda: self.ssh("true", check=False).returncode == 0)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._condition()}") from None

    def _condition(self) -> str:
        """What there is to know of one that does not answer, from outside and from inside."""
        inside = "ip address; systemctl --failed; journalctl -b --no-pager -n 40"
        asked = (
            ("virsh", "-c", "lxc:///", "net-dhcp-leases", "default"),
            ("ip", "neighbour"),
            ("virtsec", "info", self.name),
            ("virtsec", "exec", self.name, "--", "/bin/sh", "-c", inside),
        )
        said = (run(*words, check=False) for words in asked)
        return "\n".join(f"{each.args}\n{each.stdout}{each.stderr}" for each in said)

    def ssh(self, command: str, check: bool = True, stdin: str | None = None) -> Result:
        """Run a command inside by ssh, as its root.

        All commands share one login, until the container starts anew: a login is the greater part
        of the time. With `check` once more when it was ssh that failed: a busy machine takes long
        to answer.
        """
        login = self._login()
        if not ADDRESSES.get(login):
            ADDRESSES[login] = self.address()
        options = (
            *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=60"),
            *("ControlMaster=auto", "ControlPersist=yes", f"ControlPath={login}"),
        )
        words = [
            "ssh",
            *(word for option in options for word in ("-o", option)),
            *("-o", "LogLevel=ERROR", "-i", str(KEY), f"root@{ADDRESSES[login]}", command),
        ]
        done = run(*words, check=False, stdin=stdin)
        if check and done.returncode == SSH_FAILED:
            done = run(*words, check=False, stdin=stdin)
        if check and done.returncode != 0:
            raise AssertionError(
                f"in {self.name}: {command} exited with {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def _login(self) -> str:
        """Where the shared login listens; another one for each start."""
        record = self.record()
        return f"/run/ssh-{self.name}-{record.pid}" if record and record.pid else "none"

    def init_pid(self) -> int:
        """The host's process id of its init: the child of the controller, once there is one."""
        for _ in range(MOMENTS):
            record = self.record()
            assert record, f"there is no {self.name}"
            children = Path(f"/proc/{record.pid}/task/{record.pid}/children")
            with suppress(FileNotFoundError, ProcessLookupError):  # a reboot has another controller
                if found := children.read_text().split():
                    return int(found[0])
            time.sleep(0.5)
        raise AssertionError(f"{self.name} has no init")


class Small(Container):
    """A container that virtsec made of busybox alone: up in seconds, and offers nothing."""

    ARCHIVE = BUSYBOX

    def tell_apart(self) -> None:
        """It has no page."""

    def wait(self) -> None:
        """Wait until its init runs."""
        assert self.confined(), f"{self.name} does not run as itself"

    def inside(self, script: str, stdin: str | None = None) -> Result:
        """Run a script inside as its root, by virtsec's own door."""
        words = ("exec", self.name, "--", "/bin/busybox", "sh", "-c", script)
        return virtsec(*words, stdin=stdin)


@dataclass(frozen=True)
class Control:
    """A container that libvirt starts without virtsec, whose init is the attacks.

    `label` is its seclabel element (empty: libvirt's default) and `extra` what else is in it.
    """

    name: str
    title: str
    label: str
    features: str
    devices: str

    ROOT = Path("/var/lib/libvirt/lxc-control")

    def attack(self, script: str) -> str:
        """Run `script` as its init until it says `done`, and return what it wrote to /result."""
        result = self.ROOT / "result"
        result.unlink(missing_ok=True)
        with self.running(f"({script}\n) >/result 2>&1\necho done >>/result"):
            wait_for(
                f"the attacks in {self.name}",
                lambda: result.exists() and result.read_text().endswith("done\n"),
                attempts=300,
            )
            return result.read_text()

    @contextmanager
    def running(self, script: str = "") -> Iterator[int]:
        """Have it run `script` as its init and then nothing; gives its controller's process id."""
        if not self.ROOT.exists():
            self.ROOT.mkdir()
            run("tar", "-xpf", str(KEYED), "-C", str(self.ROOT))
            run("chcon", "-R", "system_u:object_r:container_file_t:s0", str(self.ROOT), check=False)
        init = self.ROOT / "attack"
        init.write_text(f"#!/bin/sh\n{script}\nexec sleep 1d\n")
        init.chmod(0o755)
        for place in ("hostproc", "hostpts"):
            (self.ROOT / place).mkdir(exist_ok=True)
        virsh("define", "/dev/stdin", stdin=self.xml())
        try:
            virsh("start", self.name)
            yield int(virsh("domid", self.name).stdout)
        finally:
            stopped(self.name)
            virsh("undefine", self.name, check=False)

    def xml(self) -> str:
        """Its domain, as an administrator without virtsec would write it."""
        mounts = "".join(
            f"<filesystem type='mount'><source dir='{source}'/><target dir='{target}'/>"
            "</filesystem>"
            for source, target in (
                (self.ROOT, "/"),
                (HOST_ROOT, "/mnt"),
                (HOST_PROC, "/hostproc"),
                (HOST_PTS, "/hostpts"),
            )
        )
        return (
            f"<domain type='lxc'><name>{self.name}</name><memory unit='MiB'>256</memory>"
            # libvirt adds it at the first start, and forgets it when it reads its files again.
            "<resource><partition>/machine</partition></resource>"
            f"<os><type>exe</type><init>/attack</init></os>"
            f"<features><privnet/>{self.features}</features>"
            f"<devices>{mounts}<console type='pty'/>{self.devices}</devices>{self.label}</domain>"
        )


#: Debian's SELinux policy does not let libvirt's own containers start when it is enforced: for
#: these domains alone it is not, the rest of the host goes on enforcing. Without the last one
#: machined cannot answer libvirt_lxc over D-Bus ("Timeout was reached") without virtsec's module.
CONTROL_POLICY = "".join(
    f"(typepermissive {domain})\n"
    for domain in ("virtd_lxc_t", "container_t", "systemd_machined_t")
)


def let_controls_start() -> None:
    """Let libvirt's own containers start, where the host's security module does not."""
    if Path("/sys/fs/selinux/enforce").exists():
        with tempfile.TemporaryDirectory() as folder:
            module = Path(folder, "controls.cil")
            module.write_text(CONTROL_POLICY)
            run("semodule", "-i", str(module))


def controls(disk: str) -> tuple[Control, Control]:
    """The two kinds of containers that libvirt starts without virtsec."""
    given = (
        "<hostdev mode='capabilities' type='storage'>"
        f"<source><block>{disk}</block></source></hostdev>"
    )
    return (
        Control("plain", "libvirt's default", "", "", ""),
        Control(
            "bare",
            "libvirt, no label",
            "<seclabel type='none'/>",
            "<capabilities policy='allow'/>",
            given,
        ),
    )
