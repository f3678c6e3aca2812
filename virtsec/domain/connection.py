"""The edge to libvirt: the only module that imports it, and only once somebody connects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from virtsec.domain import faults
from virtsec.domain.limits import PERIOD
from virtsec.domain.networks import Networks
from virtsec.domain.records import DomainRecord, DomainState, NetworkState
from virtsec.errors import HostNotReady, LibvirtFailed, NotFound, Refused
from virtsec.kernel.privilege import need_root
from virtsec.runtime.start import NAMESPACE
from virtsec.spec import Limits

__all__ = ["DomainRecord", "DomainState", "Libvirt", "NetworkState"]

# virDomainState of libvirt-domain.h.
_STATES = {
    1: DomainState.RUNNING,
    3: DomainState.PAUSED,
    5: DomainState.SHUTOFF,
    6: DomainState.CRASHED,
}
# Flags of virConnectListAllDomains and virDomainGetXMLDesc.
_LIST_ACTIVE = 1
_LIST_PAUSED = 32
_LIST_PERSISTENT = 4
_LIST_AUTOSTART = 1024
_XML_INACTIVE = 2
# virDomainModificationImpact and virDomainMetadataType.
_LIVE, _CONFIG = 1, 2
_ELEMENT = 2
# virDomainShutdownFlagValues and virDomainRebootFlagValues: VIR_DOMAIN_…_SIGNAL.
_SHUTDOWN_SIGNAL, _REBOOT_SIGNAL = 8, 8


class Libvirt(Networks):
    """A connection to libvirt's LXC driver.

    Every method raises `LibvirtFailed` when libvirt refuses or is gone, and `NotFound` for a
    domain or network it does not know. The next one connects again, and raises `HostNotReady` where
    that fails. The library is given to it, so that tests can give their own.
    """

    @classmethod
    def connect(cls, uri: str = "lxc:///") -> Libvirt:
        """Connect as root; raises `HostNotReady` with what is missing."""
        need_root()
        try:
            import libvirt  # noqa: PLC0415  (takes longer to import than `virtsec --help` may)
        except ImportError:
            raise HostNotReady(
                "Python's libvirt library is missing.", "Run `apt install python3-libvirt`."
            ) from None
        # Errors come as exceptions; without a handler libvirt also prints each one.
        libvirt.registerErrorHandler(_ignore, None)
        return cls(libvirt, lambda: _open(libvirt, uri))

    def domains(self, xml: bool = True) -> list[DomainRecord]:
        """Every domain, by name.

        With `xml` false it is a fixed number of round trips whatever their number, and the
        records' XML is empty; else one or two more for each domain. A domain that goes away
        meanwhile is left out.
        """
        flags = (_LIST_ACTIVE, _LIST_PAUSED, _LIST_PERSISTENT, _LIST_AUTOSTART)
        active, paused, persistent, autostart = (self._listed(flag) for flag in flags)
        handles = self._handles()
        found = []
        for uuid, handle in handles.items():
            running = uuid in active
            found.append(
                DomainRecord(
                    name=handle.name(),
                    uuid=uuid,
                    state=_state(running, uuid in paused),
                    xml="",
                    live_xml=None,
                    persistent=uuid in persistent,
                    autostart=uuid in autostart,
                    pid=handle.ID() if running and handle.ID() > 0 else None,
                )
            )
        described = self._described(found, handles) if xml else found
        return sorted(described, key=lambda record: record.name)

    def described(self, records: Iterable[DomainRecord]) -> list[DomainRecord]:
        """Domains that `domains` found without XML, with it; one that is gone is left out."""
        return list(self._described(records, self._handles()))

    def _described(
        self, records: Iterable[DomainRecord], handles: Mapping[str, Any]
    ) -> Iterator[DomainRecord]:
        for record in records:
            handle = handles.get(record.uuid)
            texts = None if handle is None else self._texts(handle, record.active)
            if texts is not None:
                yield replace(record, xml=texts[0], live_xml=texts[1])

    def _handles(self) -> dict[str, Any]:
        """libvirt's own of every domain, by UUID."""
        found = self._call("list domains", self._connection.listAllDomains, 0)
        return {handle.UUIDString(): handle for handle in found}

    def domain(self, name: str) -> DomainRecord | None:
        """The domain `name`, or None; asked once more where libvirt's daemon ended meanwhile."""
        try:
            return self._domain(name)
        except LibvirtFailed:
            if self._latest is not None and self._latest.isAlive():
                raise
        return self._domain(name)

    def _domain(self, name: str) -> DomainRecord | None:
        try:
            handle = self._handle(name)
            state = _STATES.get(handle.state()[0], DomainState.OTHER)
            pid = handle.ID()
            return DomainRecord(
                name=handle.name(),
                uuid=handle.UUIDString(),
                state=state,
                xml=handle.XMLDesc(_XML_INACTIVE),
                live_xml=handle.XMLDesc(0) if pid > 0 else None,
                persistent=bool(handle.isPersistent()),
                autostart=bool(handle.autostart()),
                pid=pid if pid > 0 else None,
            )
        except NotFound:
            return None
        except self._error as error:
            if error.get_error_code() == faults.NO_DOMAIN:
                return None
            raise self._told(error, f"look up {name}") from None

    def define(self, xml: str) -> None:
        """Make a persistent domain of `xml`."""
        self._call("define the domain", self._connection.defineXML, xml)

    def undefine(self, name: str) -> None:
        """Forget the definition of `name`."""
        self._on(name, "undefine", lambda domain: domain.undefine())

    def start(self, name: str) -> None:
        """Start `name`; raises `Refused` with the hook's own sentence when it refuses."""
        self._on(name, "start", lambda domain: domain.create())

    def refused_by_us(self, xml: str) -> bool:
        """Whether our own hook refuses to start `xml`, which must be unable to start anyway."""
        try:
            self._call("start the domain", self._connection.createXML, xml, 0)
        except Refused:
            return True
        except LibvirtFailed:
            pass  # something else kept it from starting
        return False

    def shutdown(self, name: str) -> None:
        """Ask init by SIGTERM; returns at once.

        virsh's own way is /dev/initctl, which the host's root opens and writes to wherever a
        container has it lead: under Smack to a switch of the kernel's that ends all of the host.
        """
        self._on(name, "shut down", lambda domain: domain.shutdownFlags(_SHUTDOWN_SIGNAL))

    def reboot(self, name: str) -> None:
        """Ask init by SIGHUP, and not as virsh does; see `shutdown`. Returns at once."""
        self._on(name, "reboot", lambda domain: domain.reboot(_REBOOT_SIGNAL))

    def signal_init(self, name: str, number: int) -> None:
        """Send signal `number` to the init of `name`."""
        self._on(name, "signal", lambda domain: domain.sendProcessSignal(1, number, 0))

    def destroy(self, name: str) -> None:
        """Stop `name` now, without asking it."""
        self._on(name, "destroy", lambda domain: domain.destroy())

    def set_autostart(self, name: str, on: bool) -> None:
        """Whether `name` starts with the host."""
        self._on(name, "set autostart of", lambda domain: domain.setAutostart(int(on)))

    def set_metadata(self, name: str, element: str) -> None:
        """Put `element` in the place of ours in a domain's metadata, and of what runs of it.

        It is without namespace: libvirt gives it ours.
        """

        def change(domain: Any) -> None:
            flags = _CONFIG | (_LIVE if domain.isActive() else 0)
            domain.setMetadata(_ELEMENT, element, "virtsec", NAMESPACE, flags)

        self._on(name, "change the metadata of", change)

    def limit(self, name: str, limits: Limits) -> None:
        """Have what runs as `name` take no more of memory and processors than that."""

        def change(domain: Any) -> None:
            domain.setMemoryParameters({"hard_limit": limits.memory_mib * 1024}, _LIVE)
            domain.setSchedulerParametersFlags({"vcpu_quota": limits.vcpus * PERIOD}, _LIVE)

        self._on(name, "change the limits of", change)

    def addresses(self, name: str) -> tuple[str, ...]:
        """Addresses that libvirt's DHCP server has leased to `name` now, without prefix."""
        try:
            found = self._handle(name).interfaceAddresses(0)
        except self._error as error:
            if error.get_error_code() == faults.NO_SUPPORT:
                return ()
            raise self._told(error, f"read the addresses of {name}") from None
        return _addresses(found.values())

    def version(self) -> tuple[int, int, int]:
        """The daemon's version."""
        number = self._call("ask for its version", self._connection.getLibVersion)
        return number // 1_000_000, number // 1000 % 1000, number % 1000

    def capabilities(self) -> str:
        """libvirt's description of the host, XML."""
        text: str = self._call("read capabilities", self._connection.getCapabilities)
        return text

    def security_models(self) -> frozenset[str]:
        """Names of the security modules libvirt itself handles for LXC, such as 'selinux'."""
        from virtsec.domain.document import parse  # noqa: PLC0415  (lxml only where needed)

        root = parse(self.capabilities(), "libvirt's capabilities")
        found = (node.text or "" for node in root.iterfind("host/secmodel/model"))
        return frozenset(found) - {"", "none"}

    def _listed(self, flag: int) -> frozenset[str]:
        found = self._call("list domains", self._connection.listAllDomains, flag)
        return frozenset(handle.UUIDString() for handle in found)

    def _texts(self, handle: Any, running: bool) -> tuple[str, str | None] | None:
        """Definition and, when running, live XML; None when the domain is gone."""
        try:
            definition = handle.XMLDesc(_XML_INACTIVE)
            return definition, handle.XMLDesc(0) if running else None
        except self._error as error:
            if error.get_error_code() == faults.NO_DOMAIN:
                return None
            raise self._told(error, f"read the definition of {handle.name()}") from None

    def _on(self, name: str, verb: str, act: Callable[[Any], object]) -> None:
        self._call(f"{verb} {name}", lambda: act(self._handle(name)))

    def _handle(self, name: str) -> Any:
        try:
            return self._connection.lookupByName(name)
        except ValueError:  # not UTF-8, or with a null byte: what nothing can be called
            raise NotFound(f"There is no domain {name}.", "See `virtsec list --all`.") from None


def _open(library: Any, uri: str) -> Any:
    try:
        return library.open(uri)
    except library.libvirtError as error:
        said = (error.get_error_message() or "no reason given").rstrip(".")
        raise HostNotReady(
            f"libvirt's LXC driver cannot be reached at {uri}: {said}.",
            "Run `apt install libvirt-daemon-system libvirt-daemon-driver-lxc` "
            "and `systemctl start libvirtd`.",
        ) from None


def _state(running: bool, paused: bool) -> DomainState:
    if not running:
        return DomainState.SHUTOFF
    return DomainState.PAUSED if paused else DomainState.RUNNING


def _addresses(interfaces: Iterable[Any]) -> tuple[str, ...]:
    """Addresses in the answer of virDomainInterfaceAddresses: a dict for each interface."""
    return tuple(
        entry["addr"] for interface in interfaces for entry in (interface.get("addrs") or ())
    )


def _ignore(_context: object, _error: object) -> None:
    """An error handler that prints nothing."""
