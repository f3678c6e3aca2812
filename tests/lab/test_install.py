"""From a bare Debian 13 to a confined container that serves, and back, by each way to install.

Each way is told once, from top to bottom: a test goes on where the one before it ended.
"""

import json
from pathlib import Path

import pytest
from demo.shell import Result, run, virsh, wait_for
from left import OWN_PLACES, kept, left_of_policy

pytestmark = [pytest.mark.bare, pytest.mark.once]

DEB, WHEEL = "virtsec_*.deb", "virtsec-*.whl"
ADDRESS = "192.168.122.9"
DEFINE = (
    *("define", "vs1", "--from", "/srv/images/debian.tar", "--address", f"{ADDRESS}/24"),
    # Its policy is loaded already: a change of SELinux's takes half a minute here.
    *("--confinement", "category"),
)
TREE = Path("/var/lib/virtsec/vs1/rootfs")
PAGE = "This is vs1.\n"
POSTINST = "/var/lib/dpkg/info/virtsec.postinst"
HOST = ("/boot", "/etc", "/opt", "/root", "/srv", "/usr", "/var/lib")
#: What changes on any Debian when something is installed and containers come and go.
PASSING = (
    *("/var/lib/apt/", "/var/lib/dpkg/", "/var/lib/systemd/", "/var/lib/libvirt/"),
    # Made anew with each change; what is in it `left_of_policy` tells.
    *("/var/lib/selinux/", "/etc/selinux/default/policy/"),
    # libvirt, systemd and pipx leave these when they are empty.
    *("/etc/libvirt/lxc", "/etc/systemd/system.control", "/opt/pipx", "/root/.local"),
)
#: Some of the attacks: all of them are `test_verify.py`'s.
ATTACKS = ("host-file-read", "host-file-write", "host-task-kill", "mount-disk")


def package(pattern: str) -> str:
    """Where virtsec's own package is, beside the tests."""
    (path,) = Path.cwd().glob(pattern)
    return str(path)


def apt(*words: str, check: bool = True) -> Result:
    """Run apt-get, which has no network and nobody to ask."""
    return run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qy", *words, check=check)


def host() -> dict[str, str]:
    """What installing, setting up and taking away again has to leave as it was."""
    listed = run("find", *HOST, "-xdev", "-printf", "%p\t%y %m %U:%G %l\n").stdout.splitlines()
    found = dict(line.split("\t", 1) for line in listed)
    found |= {path: f"{owned} {content}" for path, owned, content in kept("/etc")}
    found = {
        path: text
        for path, text in found.items()
        if not path.startswith(PASSING) and "/__pycache__" not in path
    }
    found["network"] = virsh("net-dumpxml", "default", "--inactive", check=False).stdout
    found["networks"] = virsh("net-list", "--all").stdout
    found["routing"] = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    found["domains"] = virsh("list", "--all").stdout
    return found


def changed(before: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """What is otherwise now, and how: before, after."""
    now = host()
    return {
        each: (before.get(each), now.get(each))
        for each in sorted(before.keys() | now.keys())
        if before.get(each) != now.get(each)
    }


def named() -> list[str]:
    """Paths of virtsec's on the host."""
    found = run(
        "find", *HOST, "/run", "-xdev", "-iname", "*virtsec*", "-not", "-path", "/root/lab*"
    )
    return [*found.stdout.split(), *(path for path in OWN_PLACES if Path(path).exists())]


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """The host before there was anything of virtsec's."""
    return host()


def serves() -> bool:
    """Whether its page comes, from port 80."""
    page = run("curl", "-s", "--max-time", "20", f"http://{ADDRESS}:80/", check=False)
    return page.stdout == PAGE


def story() -> None:
    """Set the host up, and have a container that serves, is confined, and withstands attacks."""
    assert "This host is ready." in run("virtsec", "setup").stdout
    run("virtsec", *DEFINE)
    (TREE / "var/www/html/index.html").write_text(PAGE)
    run("virtsec", "start", "vs1")
    wait_for("the page of vs1", serves, attempts=600)
    assert json.loads(run("virtsec", "info", "vs1", "--json").stdout)["label_holds"] is True
    run("virtsec", "verify", "vs1", *(word for each in ATTACKS for word in ("--only", each)))


def end(*options: str) -> None:
    """Stop the container and undefine it."""
    run("virtsec", "destroy", "vs1")
    run("virtsec", "undefine", *options, "vs1")


def test_the_host_is_bare(lsm: str) -> None:
    assert named() == []
    assert left_of_policy(lsm) == []


def test_installing_the_deb_asks_nothing_and_changes_nothing(
    before: dict[str, str], lsm: str
) -> None:
    apt("install", package(DEB))
    own = set(run("dpkg-query", "--listfiles", "virtsec").stdout.splitlines())
    assert changed(before).keys() <= own
    assert left_of_policy(lsm) == []
    assert "Next: virtsec setup\n" in run("virtsec").stdout


def test_bash_completes_its_words() -> None:
    script = (
        ". /usr/share/bash-completion/completions/virtsec; COMP_WORDS=(virtsec unde); COMP_CWORD=1;"
        "_virtsec_completion virtsec; echo ${COMPREPLY[@]}"
    )
    assert run("bash", "-c", script).stdout == "undefine\n"


def test_the_deb_leads_to_a_container_that_serves() -> None:
    story()


def test_the_deb_stays_while_there_are_containers() -> None:
    refused = apt("purge", "virtsec", check=False)
    assert refused.returncode != 0
    assert "Containers of virtsec are still defined here: vs1." in refused.stdout + refused.stderr
    assert run("dpkg-query", "-W", "-f", "${Status}", "virtsec").stdout.endswith(" ok installed")
    assert serves()


def test_an_upgrade_brings_a_host_that_is_set_up_to_its_version() -> None:
    module = Path("/usr/libexec/virtsec/judgement.py")
    ours = module.read_text()
    module.write_text(f"{ours}# of another version\n")
    said = apt("install", "--reinstall", package(DEB))
    assert "\x1b" not in said.stdout + said.stderr
    assert module.read_text() == ours
    assert serves()


def test_an_upgrade_ends_well_where_that_cannot_be(tmp_path: Path) -> None:
    module = Path("/usr/libexec/virtsec/judgement.py")
    ours = module.read_text()
    module.write_text("# somebody else's\n")
    done = run(POSTINST, "configure", "0.0.1")
    assert f"{module} is there already" in done.stderr
    assert "run `virtsec setup`" in done.stderr
    module.write_text(ours)


def test_a_purge_leaves_nothing_but_the_trees_of_containers(
    before: dict[str, str], lsm: str
) -> None:
    Path("/etc/virtsec/host-files.conf").write_text("# The administrator's.\n")
    end()
    said = apt("purge", "virtsec")
    assert "/var/lib/virtsec stays" in said.stdout + said.stderr
    assert "\x1b" not in said.stdout + said.stderr
    assert (TREE / "var/www/html/index.html").read_text() == PAGE
    run("rm", "-r", "/var/lib/virtsec")
    assert changed(before) == {}
    assert named() == []
    assert left_of_policy(lsm) == []


@pytest.mark.stress
@pytest.mark.smack
def test_the_wheel_leads_there_too_and_leaves_nothing(before: dict[str, str], lsm: str) -> None:
    """By pipx: pip is how virtsec comes into all other guests.

    Under Smack, where a unit of systemd's runs virtsec, by the Python it is installed for.
    """
    # It installs a pip of its own first: without a network, Debian's.
    offline = ("env", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/usr/share/python-wheels")
    run(*offline, "pipx", "install", "--global", "--system-site-packages", package(WHEEL))
    story()
    end("--storage")
    run("virtsec", "setup", "--remove")
    run("pipx", "uninstall", "--global", "virtsec")
    assert changed(before) == {}
    assert named() == []
    assert left_of_policy(lsm) == []
