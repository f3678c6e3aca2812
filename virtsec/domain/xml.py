"""From a spec and an identity to a domain's XML, by way of `xml_templates/container.xml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from lxml import etree

from virtsec.domain import capability, metadata
from virtsec.domain.document import serialise, template
from virtsec.domain.limits import fill
from virtsec.names import port_of
from virtsec.resources import resource
from virtsec.spec import ContainerSpec, Identity, IdRange, Mount, NetworkKind


def domain_xml(
    spec: ContainerSpec,
    identity: Identity,
    seclabel: Mapping[str, str] | None,
    controller: PurePosixPath,
) -> str:
    """The definition of a container's domain.

    The same for the same arguments: UUID and MAC address are left for libvirt to add. `seclabel`
    is as `MacModule.seclabel` gives it: the attributes, and the text of `<label>` as 'label';
    None leaves the element out.
    """
    domain = template(resource("xml_templates", "container.xml"))
    _one(domain, "name").text = spec.name
    _one(domain, "metadata").append(
        metadata.write(metadata.Container(spec, identity, controller)),
    )
    fill(domain, spec.limits)
    _one(domain, "resource/partition").text = partition(spec.name)
    _fill_idmap(domain, identity.ids)
    _fill_init(_one(domain, "os"), spec)
    _fill_capabilities(_one(domain, "features/capabilities"), spec.privileged)
    devices = _one(domain, "devices")
    _one(devices, "emulator").text = str(controller)
    _fill_filesystems(_one(devices, "filesystem"), spec)
    _fill_interface(devices, spec)
    _fill_seclabel(domain, seclabel)
    return serialise(domain)


def partition(name: str) -> str:
    """The place of container `name` in the cgroup tree: systemd's slice machine-NAME.slice."""
    return f"/machine/{name}"


def _fill_idmap(domain: etree._Element, ids: IdRange | None) -> None:
    idmap = _one(domain, "idmap")
    if ids is None:
        domain.remove(idmap)
        return
    for kind in idmap:
        kind.set("target", str(ids.start))
        kind.set("count", str(ids.count))


def _fill_init(os_: etree._Element, spec: ContainerSpec) -> None:
    _one(os_, "init").text = str(spec.init)
    for argument in spec.init_args:
        etree.SubElement(os_, "initarg").text = argument


def _fill_capabilities(node: etree._Element, privileged: bool) -> None:
    for name in sorted(capability.keep(privileged)):
        etree.SubElement(node, name, state="on")


def _fill_filesystems(root: etree._Element, spec: ContainerSpec) -> None:
    _one(root, "source").set("dir", str(spec.rootfs))
    after = root
    for mount in spec.mounts:
        node = _filesystem(mount)
        after.addnext(node)
        after = node


def _filesystem(mount: Mount) -> etree._Element:
    node = etree.Element("filesystem", type="mount")
    etree.SubElement(node, "source", dir=str(mount.source))
    etree.SubElement(node, "target", dir=str(mount.target))
    if mount.read_only:
        etree.SubElement(node, "readonly")
    return node


def _fill_interface(devices: etree._Element, spec: ContainerSpec) -> None:
    network = spec.network
    interface = _one(devices, "interface")
    if network.kind is NetworkKind.NONE:
        devices.remove(interface)
        return
    interface.set("type", network.kind.value)
    _one(interface, "target").set("dev", port_of(spec.name))
    source = _one(interface, "source")
    source.set(network.kind.value, network.source)
    added = [
        etree.Element(
            "ip",
            address=str(address.ip),
            family=f"ipv{address.version}",
            prefix=str(address.network.prefixlen),
        )
        for address in network.addresses
    ]
    gateway = network.gateway
    if gateway is not None:
        added.append(
            etree.Element(
                "route",
                family=f"ipv{gateway.version}",
                address=metadata.EVERYWHERE[gateway.version == 6],
                prefix="0",
                gateway=str(gateway),
            )
        )
    for node in reversed(added):
        source.addnext(node)


def _fill_seclabel(domain: etree._Element, seclabel: Mapping[str, str] | None) -> None:
    node = _one(domain, "seclabel")
    if seclabel is None:
        domain.remove(node)
        return
    for attribute, value in seclabel.items():
        if attribute == "label":
            etree.SubElement(node, "label").text = value
        else:
            node.set(attribute, value)


def _one(parent: etree._Element, path: str) -> etree._Element:
    """The element of the template at `path`."""
    node = parent.find(path)
    assert node is not None, f"the template lacks {path}"
    return node
