"""What the hook refuses: each line changed in a good domain, and the reason it must give."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tests.unit.runtime.conftest import Judge
from tests.unit.runtime.runtime_samples import KINDS, changed, good
from virtsec.runtime import checks, start

SECLABEL = """<seclabel type='static' model='selinux' relabel='no'>
    <label>system_u:system_r:vs1_t:s0:c1,c2</label>
  </seclabel>"""
INTERFACE = re.search(r"<interface.*</interface>", good(), re.DOTALL)[0]  # type: ignore[index]
ROOT = re.search(r"<filesystem.*?</filesystem>", good(), re.DOTALL)[0]  # type: ignore[index]
LXC = "xmlns:lxc='http://libvirt.org/schemas/domain/lxc/1.0'"
EMULATOR = "<emulator>/usr/libexec/virtsec/controller</emulator>"
DATA = "<source dir='/srv/data'/>"
SWITCH = "<virtualport type='openvswitch'/>"


@pytest.mark.parametrize("kind", KINDS)
def test_a_domain_as_virtsec_defines_it_may_start(kind: str, judge: Judge) -> None:
    assert judge(good(kind)) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        # The label
        (SECLABEL, "", "security label is gone"),
        (SECLABEL, "<seclabel type='none'/>", "security label is none, not static selinux"),
        (SECLABEL, "<seclabel type='none' model='selinux'/>", "security label"),
        (SECLABEL, "<seclabel type='dynamic' model='selinux' relabel='yes'/>", "security label"),
        (SECLABEL, SECLABEL * 2, "security label"),
        (SECLABEL, SECLABEL + "<seclabel type='none' model='dac'/>", "security label"),
        ("type='static'", "type='dynamic'", "security label"),
        ("model='selinux'", "model='apparmor'", "security label"),
        ("<label>system_u:system_r:vs1_t", "<label>system_u:system_r:vs2_t", "security label"),
        ("vs1_t:s0:c1,c2</label>", "vs1_t:s0:c1,c3</label>", "security label"),
        ("vs1_t:s0:c1,c2</label>", "vs1_t:s0:c1,c2</label><label>x</label>", "several"),
        # Capabilities
        ("policy='deny'", "policy='allow'", "policy on capabilities"),
        ("policy='deny'", "policy='default'", "policy on capabilities"),
        ("policy='deny'", "", "policy on capabilities"),
        ("<capabilities policy='deny'>", "<capabilities policy='deny'/><capabilities>", "several"),
        ("<mac_admin state='off'/>", "<mac_admin state='on'/>", "mac_admin"),
        ("<mac_admin state='off'/>", "<mac_admin/>", "mac_admin"),
        ("<mac_override state='off'/>", "<mac_override state='on'/>", "mac_override"),
        ("<chown state='on'/>", "<sys_module state='on'/>", "sys_module"),
        ("<chown state='on'/>", "<mknod state='on'/>", "mknod"),
        # The root
        (ROOT, "", "root is gone"),
        (ROOT, ROOT * 2, "root is"),
        ("<source dir='/var/lib/virtsec/vs1/rootfs'/>", "<source dir='/'/>", "root is"),
        (ROOT, ROOT.replace("virtsec/vs1", "virtsec/vs2"), "root is"),
        (ROOT, ROOT.replace("type='mount'", "type='file'"), "root is"),
        (ROOT, ROOT.replace("dir='/'", "dir='//'"), "root is gone"),
        # Mounts
        (DATA, "<source dir='/proc'/>", "may not mount /proc"),
        (DATA, "<source dir='/sys/fs/cgroup'/>", "may not mount /sys"),
        (DATA, "<source dir='//dev/./sda'/>", "may not mount //dev"),
        (DATA, "<source dir='/srv/../proc'/>", "may not mount /srv/"),
        (DATA, "<source dir='srv'/>", "may not mount srv"),
        (DATA, "", "may not mount"),
        ("dir='/data'", "dir='/proc'", "on /proc"),
        ("dir='/data'", "dir='/sys/kernel'", "on /sys"),
        ("dir='/data'", "dir='/x/../dev'", "on /x"),
        ("dir='/data'", "dir='//'", "on //"),
        ("dir='/data'", "dir='/./proc//sys'", "on /./proc"),
        ("dir='/data'", "dir='data'", "on data"),
        ("dir='/scratch'", "dir='/dev/shm'", "on /dev"),
        ("dir='/scratch'", "dir='/.oldroot/etc'", "on /.oldroot"),
        ("<filesystem type='ram'", "<filesystem type='block'", "may not mount a block"),
        ("<filesystem type='ram'", "<filesystem type='file'", "may not mount a file"),
        ("<filesystem type='ram'", "<filesystem type='template'", "may not mount a template"),
        ("<filesystem type='ram'", "<filesystem type='bind'", "may not mount a bind"),
        ("dir='/scratch'", "dir='/data/inner'", "on /data/inner, where something else is"),
        ("dir='/scratch'", "dir='/./data/'", "on /data, where something else is"),
        # What would run, or be opened, before the label is taken on
        ("<init>/sbin/init", "<inituser>www-data</inituser><init>/sbin/init", "<inituser>"),
        ("<init>/sbin/init", "<initgroup>+33</initgroup><init>/sbin/init", "<initgroup>"),
        ("<devices>", "<clock><timer name='rtc' present='yes'/></clock><devices>", "<timer>"),
        ("<devices>", "<clock><timer name='hpet'/></clock><devices>", "<timer>"),
        ("<devices>", "<clock><timer name='hpet' present='no'/></clock><devices>", None),
        # Network and namespaces
        ("<interface type='network'>", f"<interface type='network'>{SWITCH}", "<virtualport>"),
        ("<privnet/>", "", None),
        (INTERFACE, "", None),
        ("<interface type='network'", "<interface type='ethernet'", "type ethernet"),
        ("<interface type='network'", "<interface type='hostdev'", "type hostdev"),
        ("<interface type='network'", "<interface type='direct'", "type direct"),
        ("<interface type='network'", "<interface type='bridge'", None),
        *(
            (
                "</features>",
                f"</features><lxc:namespace {LXC}><lxc:{each}/></lxc:namespace>",
                "namespace",
            )
            for each in ("sharenet type='netns' value='red'", "shareipc type='pid' value='1'")
        ),
        (
            "</features>",
            "</features><n:namespace xmlns:n='http://libvirt.org/schemas/domain/lxc/1.0'>"
            "<n:shareuts type='name' value='vs2'/></n:namespace>",
            "namespace",
        ),
        # Devices
        ("</devices>", "<hostdev mode='capabilities' type='misc'/></devices>", "<hostdev>"),
        ("</devices>", "<disk type='block' device='disk'/></devices>", "<disk>"),
        # Emulator, init, name and type
        (EMULATOR, "<emulator>/usr/lib/libvirt/libvirt_lxc</emulator>", "emulator is"),
        (EMULATOR, "<emulator>/usr/libexec/../libexec/virtsec/controller</emulator>", "emulator"),
        (EMULATOR, "", "emulator is gone"),
        (EMULATOR, EMULATOR * 2, "several"),
        ("<init>/sbin/init", "<init>/bin/sh", "init is"),
        ("<init>/sbin/init</init>", "", "init is gone"),
        (">exe<", ">hvm<", "kind of system"),
        (">/machine/vs1<", ">/machine/vs2<", "partition is"),
        (">/machine/vs1<", ">/machine<", "partition is"),
        ("<partition>/machine/vs1</partition>", "", "partition is gone"),
        ("<domain type='lxc'>", "<domain type='qemu'>", "type is"),
        ("<name>vs1</name>", "<name>vs2</name>", "name is"),
        # Metadata
        ('version="1"', 'version="2"', "version"),
        ('version="1"', "", "version"),
        ('model="selinux"', 'model="apparmor"', "model"),
        ('model="selinux"', 'model="smack"', "label"),
        ('process="system_u:system_r:vs1_t:s0:c1,c2"', "", "makes no sense"),
        ('process="system_u:system_r:vs1_t', 'process="system_u:system_r:init_t', "label of proc"),
        ('process="system_u:system_r:vs1_t:s0:c1,c2"', 'process="x:c1,c2"', "label of process"),
        ('process="system_u:system_r:vs1_t:s0:c1,c2"', 'process="x:c2,c1"', "categories"),
        ('process="system_u:system_r:vs1_t:s0:c1,c2"', 'process="x:c1,c1"', "categories"),
        ('process="system_u:system_r:vs1_t:s0:c1,c2"', 'process="x:c1,c1024"', "categories"),
        ('process="system_u:system_r:vs1_t:s0:c1,c2"', 'process="x:c1.c2"', "makes no sense"),
        ('file="system_u:object_r:vs1_file_t', 'file="system_u:object_r:vs2_file_t', "of file"),
        ("vs1_exec_t:s0:c1,c2", "vs1_exec_t:s0:c1,c3", "label of init"),
        ('root path="/var/lib/virtsec/vs1/rootfs"', 'root path="/"', "root in"),
        ('root path="/var/lib/virtsec/vs1/rootfs"', 'root path="/var/lib/../x"', "root in"),
        ('root path="/var/lib/virtsec/vs1/rootfs"', 'root path="/var/lib//x"', "root in"),
        ('policy="own"', 'policy="none"', "init in"),
        ('init path="/sbin/init"', 'init path="sbin/init"', "init in"),
        ('controller path="/usr/libexec', 'controller path="/tmp', "controller in"),
        ("<virtsec:init ", "<virtsec:init/><virtsec:init ", "several"),
    ],
)
def test_an_edit_that_weakens_confinement_is_refused(
    kind: str, old: str, new: str, reason: str | None, judge: Judge
) -> None:
    sentence = judge(changed(good(kind), old, new))
    if reason is None:
        assert sentence is None, sentence
    else:
        assert sentence is not None
        assert reason in sentence


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_one_metadata_it_is_refused(kind: str, judge: Judge) -> None:
    found = re.search(r"<virtsec:container.*:container>", good(kind), re.DOTALL)
    assert found is not None
    own = found[0]
    for new in ("", own * 2, own.replace("urn:virtsec:container", "urn:virtsec:other")):
        sentence = judge(changed(good(kind), own, new))
        assert sentence is not None
        assert "metadata is gone, or is not only one" in sentence


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (re.search(r"<idmap>.*</idmap>", good(), re.DOTALL)[0], "", "id map is gone"),  # type: ignore[index]
        ("<uid start='0' target='1000000'", "<uid start='0' target='0'", "id map"),
        ("<uid start='0' target='1000000'", "<uid start='0' target='1065536'", "id map"),
        ("<uid start='0'", "<uid start='1'", "id map"),
        ("<gid start='0' target='1000000'", "<gid start='0' target='0'", "id map"),
        ("</idmap>", "<uid start='65536' target='0' count='1'/></idmap>", "id map"),
        ("</idmap>", "</idmap><idmap/>", "several"),
        ('start="1000000"', 'start="0"', "ids"),
        ('start="1000000"', 'start="65535"', "ids"),
        ('start="1000000"', 'start="01000000"', "ids"),
        ('start="1000000"', 'start=""', "makes no sense"),
        ('start="1000000"', f'start="{"9" * 5000}"', "makes no sense"),
        ('count="65536"', 'count="65537"', "ids"),
        ('kind="unprivileged"', 'kind="privileged"', "ids"),
        ('kind="unprivileged"', "", "kind"),
    ],
)
def test_root_inside_stays_nobody_outside(old: str, new: str, reason: str, judge: Judge) -> None:
    sentence = judge(changed(good("unprivileged"), old, new))
    assert sentence is not None
    assert reason in sentence


def test_a_privileged_container_gets_no_id_map_by_an_edit(judge: Judge) -> None:
    idmap = "<idmap><uid start='0' target='0' count='1'/></idmap>"
    sentence = judge(changed(good("privileged"), "</os>", f"</os>{idmap}"))
    assert sentence is not None
    assert "id map" in sentence
    ids = '<virtsec:ids start="1000000" count="65536"/>'
    assert judge(changed(good("privileged"), "<virtsec:root", f"{ids}<virtsec:root")) is not None


def test_without_interface_and_privnet_it_would_have_the_hosts_network(judge: Judge) -> None:
    sentence = judge(changed(changed(good(), INTERFACE, ""), "<privnet/>", ""))
    assert sentence is not None
    assert "network" in sentence


def test_whose_egress_is_limited_keeps_the_port_that_is_known_by(judge: Judge) -> None:
    limited = '<virtsec:egress to="none" port="vs-vs1"/>'
    xml = changed(good(), "<virtsec:root", f"{limited}<virtsec:root")
    target = "<target dev='{}'/>"
    named = changed(xml, INTERFACE, INTERFACE.replace("</", target.format("vs-vs1") + "</"))
    assert judge(named) is None
    other = changed(named, "dev='vs-vs1'", "dev='vnet0'")
    twice = changed(named, "</devices>", f"{INTERFACE}</devices>")
    for each in (xml, other, twice):
        assert "is limited at vs-vs1" in str(judge(each))
    assert judge(changed(changed(named, "<privnet/>", ""), limited, "")) is None


def test_the_name_libvirt_calls_it_by_is_the_one_that_counts(judge: Judge) -> None:
    assert judge(good(), name="vs2") is not None
    for name in ("", "-vs", "Vs1", "vs1:s0", "v/s", "vs1\n", "v" * 24, "vs\u0661"):
        assert judge(good().replace("vs1", name), name=name) is not None


LIBVIRT_CAPABILITIES = (
    "audit_control audit_write block_suspend chown dac_override dac_read_search fowner fsetid "
    "ipc_lock ipc_owner kill lease linux_immutable mac_admin mac_override mknod net_admin "
    "net_bind_service net_broadcast net_raw setgid setfcap setpcap setuid sys_admin sys_boot "
    "sys_chroot sys_module sys_nice sys_pacct sys_ptrace sys_rawio sys_resource sys_time "
    "sys_tty_config syslog wake_alarm"
)


@pytest.mark.parametrize("kind", KINDS)
def test_no_capability_outside_the_keep_list_gets_by(kind: str, judge: Judge) -> None:
    """Every capability libvirt can name (virDomainProcessCapsFeature in its domain_conf.c)."""
    names = LIBVIRT_CAPABILITIES.split()
    assert set(names) >= set(checks.KEEP)
    for name in names:
        entry = f"<{name} state='on'/>"
        sentence = judge(changed(good(kind), "</capabilities>", f"{entry}</capabilities>"))
        assert (sentence is None) == (name in checks.KEEP_BY_KIND[kind]), name


def test_the_keep_list_has_no_way_out_of_the_security_module() -> None:
    never = {"mac_admin", "mac_override", "sys_module", "sys_rawio", "mknod", "dac_read_search"}
    assert not never & set(checks.KEEP)
    assert all(reason for reason in checks.KEEP.values())
    assert all(kept <= set(checks.KEEP) for kept in checks.KEEP_BY_KIND.values())


#: What may go from an unprivileged domain without weakening it; 'mac_…' are switched off there.
DISPENSABLE = {
    "domain": "uuid memory currentMemory vcpu clock on_poweroff on_reboot on_crash",
    "os": "initarg",
    "features": "privnet",  # since there is an interface
    "capabilities": " ".join([*checks.KEEP, "mac_admin", "mac_override"]),
    "devices": "filesystem interface console",  # since there is privnet; the root is needed
    "filesystem": "readonly source",  # of the one in memory
    "interface": "mac source ip guest",
    "console": "target",
}


def test_every_element_but_the_listed_ones_is_needed(judge: Judge) -> None:
    elements = sum(1 for _ in ET.fromstring(good()).iter()) - 1
    let_pass: dict[str, set[str]] = {}
    for index in range(elements):
        tree = ET.fromstring(good())
        parent, child = [(parent, child) for parent in tree.iter() for child in parent][index]
        parent.remove(child)
        if judge(ET.tostring(tree)) is None:
            let_pass.setdefault(parent.tag, set()).add(child.tag)
    assert let_pass == {parent: set(names.split()) for parent, names in DISPENSABLE.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_changed_attribute_of_what_confines_is_refused(kind: str, judge: Judge) -> None:
    confining = {"seclabel", "label", "uid", "gid", "capabilities", "domain"}
    confining |= {f"{{{start.NAMESPACE}}}{tag}" for tag in ("container", "label", "ids", "init")}
    free = {("seclabel", "relabel")}
    tree = ET.fromstring(good(kind))
    seen = 0
    for element in tree.iter():
        for attribute, value in list(element.attrib.items()):
            if element.tag in confining and (element.tag, attribute) not in free:
                element.set(attribute, "x")
                assert judge(ET.tostring(tree)) is not None, (element.tag, attribute)
                element.set(attribute, value)
                seen += 1
    assert seen >= 10
    assert judge(ET.tostring(tree)) is None


class TestSmack:
    """Where libvirt knows no model 'smack', the controller sets the label: the XML has none."""

    SECLABEL = "<seclabel type='static' model='smack'><label>vs1</label></seclabel>"

    @pytest.fixture
    def xml(self) -> str:
        text = re.sub(r' (process|file|init)="[^"]*_t:[^"]*"', r' \1="vs1"', good())
        return changed(text, SECLABEL, "").replace('model="selinux"', 'model="smack"')

    def test_it_starts_with_and_without_a_seclabel(self, xml: str, judge: Judge) -> None:
        assert judge(xml) is None
        assert judge(changed(xml, "</devices>", f"</devices>{self.SECLABEL}")) is None

    @pytest.mark.parametrize(
        "seclabel",
        [
            SECLABEL.replace("vs1<", "_<"),
            SECLABEL.replace("static", "dynamic"),
            SECLABEL * 2,
            "<seclabel type='none'/>",
            "<seclabel type='static' model='selinux'><label>vs1</label></seclabel>",
        ],
    )
    def test_any_other_seclabel_is_refused(self, seclabel: str, xml: str, judge: Judge) -> None:
        assert judge(changed(xml, "</devices>", f"</devices>{seclabel}")) is not None

    @pytest.mark.parametrize("label", ["_", "^", "*", "host", "vs2", "vs1 x", ""])
    def test_no_label_but_the_containers_own_name(self, label: str, xml: str, judge: Judge) -> None:
        assert judge(changed(xml, ' process="vs1"', f' process="{label}"')) is not None
        assert judge(changed(xml, ' init="vs1"', f' init="{label}"')) is not None


class TestSharedTypes:
    """Under SELinux categories alone may keep containers apart: their types are the same."""

    @pytest.fixture
    def xml(self) -> str:
        return re.sub(r"vs1((?:_exec|_file)?_t:)", r"virtsec_shared\1", good())

    def test_it_starts(self, xml: str, judge: Judge) -> None:
        assert judge(xml) is None

    @pytest.mark.parametrize("attribute", ["process", "file", "init"])
    def test_its_types_are_all_shared_or_none_is(
        self, attribute: str, xml: str, judge: Judge
    ) -> None:
        for other in ("vs1", "virtsec_host", "virtsec_shared_other"):
            (label,) = re.findall(f' {attribute}="[^"]*"', xml)
            text = changed(xml, label, label.replace("virtsec_shared", other))
            assert judge(text) is not None

    def test_its_categories_are_its_own(self, xml: str, judge: Judge) -> None:
        label = "<label>system_u:system_r:virtsec_shared_t:s0:c1,c"
        assert judge(changed(xml, f"{label}2", f"{label}3")) is not None


class TestForeign:
    """What is not ours is left alone, whatever it says of us."""

    FOREIGN = """<domain type='lxc'><name>old</name>
      <description>has nothing to do with virtsec</description>
      <metadata><a:b xmlns:a='urn:other'><virtsec/></a:b></metadata>
      <devices><emulator>/usr/lib/libvirt/libvirt_lxc</emulator>
      <filesystem type='mount'><source dir='/srv/virtsec'/><target dir='/'/></filesystem>
      <filesystem type='mount'><source dir='/var/lib/virtsec'/><target dir='/mnt'/></filesystem>
      </devices><seclabel type='none'/></domain>"""

    def test_it_starts(self, judge: Judge) -> None:
        assert judge(self.FOREIGN, name="old", ours=False) is None

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("/usr/lib/libvirt/libvirt_lxc", "/usr/libexec/virtsec/controller"),
            ("/usr/lib/libvirt/libvirt_lxc", "/usr/libexec//virtsec/./controller"),
            ("<source dir='/srv/virtsec'/>", "<source dir='/var/lib/virtsec/vs1/rootfs'/>"),
            ("<source dir='/srv/virtsec'/>", "<source dir='/var/lib//virtsec'/>"),
            ("urn:other", "urn:virtsec:container"),
            ("urn:other", "urn:virtsec:other"),
        ],
    )
    def test_a_trace_of_ours_without_metadata_is_refused(
        self, old: str, new: str, judge: Judge
    ) -> None:
        sentence = judge(changed(self.FOREIGN, old, new), name="old")
        assert sentence is not None
        assert "metadata is gone" in sentence
