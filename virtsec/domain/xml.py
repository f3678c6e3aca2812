"""From a spec and an identity to a domain's XML, by way of `xml_templates/container.xml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from lxml import etree

from virtsec.domain import capability, described, metadata
from virtsec.domain.document import parse, serialise, template
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
    one(domain, "name").text = spec.name
    metadata.put(domain, metadata.Container(spec, identity, controller))
    fill(domain, spec.limits)
    one(domain, "resource/partition").text = partition(spec.name)
    _fill_idmap(domain, identity.ids)
    _fill_init(one(domain, "os"), spec)
    fill_capabilities(one(domain, "features/capabilities"), spec.privileged)
    devices = one(domain, "devices")
    one(devices, "emulator").text = str(controller)
    _fill_filesystems(one(devices, "filesystem"), spec)
    _fill_interface(devices, spec)
    node = one(domain, "seclabel")
    if seclabel is None:
        domain.remove(node)
    else:
        fill_seclabel(node, seclabel)
    return serialise(domain)


def of_other_kind(xml: str, container: metadata.Container) -> str:
    """A definition with the ids and capabilities of the kind that `container` now is.

    What else is in it stays, and so do capabilities that were given up besides.
    """
    privileged = container.spec.privileged
    domain = parse(xml, f"The definition of {container.name}")
    found = domain.find("idmap")
    if found is not None:
        domain.remove(found)
    idmap = one(template(resource("xml_templates", "container.xml")), "idmap")
    domain.append(idmap)
    _fill_idmap(domain, container.identity.ids)
    kept = one(domain, "features/capabilities")
    before, after = capability.keep(not privileged), capability.keep(privileged)
    for node in [each for each in kept if each.tag in before - after]:
        kept.remove(node)
    there = {each.tag for each in kept}
    for name in sorted(after - before - there):
        etree.SubElement(kept, name, state="on")
    metadata.put(domain, container)
    return serialise(domain)


def of_other_parts(xml: str, before: metadata.Container, after: metadata.Container) -> str:
    """A definition with the network, the mounts and the init that the container now has.

    What else is in it stays: mounts and interfaces that somebody added, the MAC address of its own.
    """
    domain = parse(xml, f"The definition of {after.name}")
    metadata.put(domain, after)
    os_ = one(domain, "os")
    for node in os_.findall("initarg"):
        os_.remove(node)
    _fill_init(os_, after.spec)
    devices = one(domain, "devices")
    ours = {(str(each.source), str(each.target)) for each in before.spec.mounts}
    root = None
    for node in devices.findall("filesystem"):
        ends = _end(node, "source"), _end(node, "target")
        if ends[1] == "/":
            root = node
        elif ends in ours:
            devices.remove(node)
    if root is not None:
        _add_mounts(root, after.spec)
    if before.spec.network != after.spec.network:
        _replace_interface(devices, before.spec, after.spec)
    return serialise(domain)


def _end(node: etree._Element, which: str) -> str:
    found = node.find(which)
    return "" if found is None else found.get("dir", "")


def _replace_interface(
    devices: etree._Element, before: ContainerSpec, after: ContainerSpec
) -> None:
    """Put another interface in the place of the one that `before` is about."""
    fresh = one(template(resource("xml_templates", "container.xml")), "devices")
    _fill_interface(fresh, after)
    new = fresh.find("interface")
    old = devices.find(f"interface[@type='{before.network.kind}']")
    if old is None:
        if new is not None:
            devices.append(new)
        return
    address = old.find("mac")
    if new is not None:
        if address is not None:
            new.insert(0, address)
        old.addnext(new)
    devices.remove(old)


def partition(name: str) -> str:
    """The place of container `name` in the cgroup tree: systemd's slice machine-NAME.slice."""
    return f"/machine/{name}"


def _fill_idmap(domain: etree._Element, ids: IdRange | None) -> None:
    idmap = one(domain, "idmap")
    if ids is None:
        domain.remove(idmap)
        return
    for kind in idmap:
        kind.set("target", str(ids.start))
        kind.set("count", str(ids.count))


def _fill_init(os_: etree._Element, spec: ContainerSpec) -> None:
    one(os_, "init").text = str(spec.init)
    for argument in spec.init_args:
        etree.SubElement(os_, "initarg").text = argument


def fill_capabilities(node: etree._Element, privileged: bool) -> None:
    """Have the element `node` keep what containers of that kind keep."""
    for name in sorted(capability.keep(privileged)):
        etree.SubElement(node, name, state="on")


def _fill_filesystems(root: etree._Element, spec: ContainerSpec) -> None:
    one(root, "source").set("dir", str(spec.rootfs))
    _add_mounts(root, spec)


def _add_mounts(root: etree._Element, spec: ContainerSpec) -> None:
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
    interface = one(devices, "interface")
    if network.kind is NetworkKind.NONE:
        devices.remove(interface)
        return
    interface.set("type", network.kind.value)
    one(interface, "target").set("dev", port_of(spec.name))
    source = one(interface, "source")
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
                address=described.EVERYWHERE[gateway.version == 6],
                prefix="0",
                gateway=str(gateway),
            )
        )
    for node in reversed(added):
        source.addnext(node)


def fill_seclabel(node: etree._Element, seclabel: Mapping[str, str]) -> None:
    """Have the element `node` say what `MacModule.seclabel` gave."""
    for attribute, value in seclabel.items():
        if attribute == "label":
            etree.SubElement(node, "label").text = value
        else:
            node.set(attribute, value)


def one(parent: etree._Element, path: str) -> etree._Element:
    """The element at `path` of the template, or of a definition that was made from it."""
    node = parent.find(path)
    assert node is not None, f"there is no {path}"
    return node
