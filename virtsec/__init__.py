"""Linux containers on libvirt, confined by SELinux or Smack, and shown to be.

As a library:

    import virtsec

    spec = virtsec.ContainerSpec("vs1", virtsec.default_root("vs1"))
    for step in virtsec.plan(spec).steps:
        print(step.describe())
    virtsec.define(spec)
    virtsec.start("vs1")
    assert virtsec.verify("vs1").held

Each command has its function here, and the command line is built on these and nothing else. They
return frozen data, raise the errors of `virtsec.errors`, and open the host themselves where they
are given none; `docs/api.md` shows more.

Whatever works on the host raises `HostNotReady` as `open_host` does, and what needs `setup` before
that; whatever is about a container `NotFound` where there is none of that name, `Refused` where
virtsec did not make it, and `BadInput` where its metadata cannot be read. Each says what it raises
besides.

What is named here is imported when it is first used: lxml and libvirt take longer to import than
`virtsec --help` may take.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from virtsec.attacks.probe import Probe as Probe
    from virtsec.attacks.proof import Result as Result
    from virtsec.attacks.proof import Verdict as Verdict
    from virtsec.attacks.verified import Verified as Verified
    from virtsec.audits.audited import Audited as Audited
    from virtsec.commands.adopting import Adopted as Adopted
    from virtsec.commands.adopting import Released as Released
    from virtsec.commands.adopting import adopt as adopt
    from virtsec.commands.adopting import release as release
    from virtsec.commands.auditing import audit as audit
    from virtsec.commands.auditing import audit_page as audit_page
    from virtsec.commands.auditing import audit_picture as audit_picture
    from virtsec.commands.bases import Described as Described
    from virtsec.commands.bases import Made as Made
    from virtsec.commands.bases import Removed as Removed
    from virtsec.commands.bases import base_names as base_names
    from virtsec.commands.bases import create_base as create_base
    from virtsec.commands.bases import describe_base as describe_base
    from virtsec.commands.bases import list_bases as list_bases
    from virtsec.commands.bases import newest_base as newest_base
    from virtsec.commands.bases import refresh_base as refresh_base
    from virtsec.commands.bases import remove_base as remove_base
    from virtsec.commands.copies import Exported as Exported
    from virtsec.commands.copies import Renamed as Renamed
    from virtsec.commands.copies import clone as clone
    from virtsec.commands.copies import export as export
    from virtsec.commands.copies import import_ as import_
    from virtsec.commands.copies import rename as rename
    from virtsec.commands.definition import apply as apply
    from virtsec.commands.definition import define as define
    from virtsec.commands.definition import define_from_xml as define_from_xml
    from virtsec.commands.definition import label as label
    from virtsec.commands.definition import plan as plan
    from virtsec.commands.definition import plan_from_xml as plan_from_xml
    from virtsec.commands.definition import undefine as undefine
    from virtsec.commands.doctoring import Diagnosis as Diagnosis
    from virtsec.commands.doctoring import doctor as doctor
    from virtsec.commands.entering import attach as attach
    from virtsec.commands.entering import console as console
    from virtsec.commands.entering import copy_in as copy_in
    from virtsec.commands.entering import copy_out as copy_out
    from virtsec.commands.entering import logs as logs
    from virtsec.commands.entering import run as run
    from virtsec.commands.fleet import FleetPlan as FleetPlan
    from virtsec.commands.fleet import apply_fleet as apply_fleet
    from virtsec.commands.fleet import destroy_fleet as destroy_fleet
    from virtsec.commands.fleet import diff_fleet as diff_fleet
    from virtsec.commands.fleet import export_fleet as export_fleet
    from virtsec.commands.fleet import fleet_schema as fleet_schema
    from virtsec.commands.fleet import fleet_text as fleet_text
    from virtsec.commands.fleet import plan_fleet as plan_fleet
    from virtsec.commands.host import check_ready as check_ready
    from virtsec.commands.host import domain_names as domain_names
    from virtsec.commands.host import installed as installed
    from virtsec.commands.host import network_names as network_names
    from virtsec.commands.host import open_host as open_host
    from virtsec.commands.kinds import Shifted as Shifted
    from virtsec.commands.kinds import shift as shift
    from virtsec.commands.lifecycle import destroy as destroy
    from virtsec.commands.lifecycle import reboot as reboot
    from virtsec.commands.lifecycle import shutdown as shutdown
    from virtsec.commands.lifecycle import start as start
    from virtsec.commands.limiting import Limited as Limited
    from virtsec.commands.limiting import limit as limit
    from virtsec.commands.linking import Linked as Linked
    from virtsec.commands.linking import link as link
    from virtsec.commands.linking import links as links
    from virtsec.commands.linking import unlink as unlink
    from virtsec.commands.listing import info as info
    from virtsec.commands.listing import list_domains as list_domains
    from virtsec.commands.policies import Compared as Compared
    from virtsec.commands.policies import Shown as Shown
    from virtsec.commands.policies import diff_policy as diff_policy
    from virtsec.commands.policies import show_policy as show_policy
    from virtsec.commands.preparing import protect as protect
    from virtsec.commands.preparing import setup as setup
    from virtsec.commands.reaching import Reached as Reached
    from virtsec.commands.reaching import reach as reach
    from virtsec.commands.results import Acted as Acted
    from virtsec.commands.results import Confinement as Confinement
    from virtsec.commands.results import Defined as Defined
    from virtsec.commands.results import Info as Info
    from virtsec.commands.results import Kind as Kind
    from virtsec.commands.results import Labelled as Labelled
    from virtsec.commands.results import Listed as Listed
    from virtsec.commands.results import Planned as Planned
    from virtsec.commands.results import Started as Started
    from virtsec.commands.results import Undefined as Undefined
    from virtsec.commands.results import as_json as as_json
    from virtsec.commands.rollout import Done as Done
    from virtsec.commands.rollout import Outcomes as Outcomes
    from virtsec.commands.suggesting import Suggested as Suggested
    from virtsec.commands.suggesting import suggest_policy as suggest_policy
    from virtsec.commands.verifying import list_attacks as list_attacks
    from virtsec.commands.verifying import verify as verify
    from virtsec.commands.verifying import verify_page as verify_page
    from virtsec.diagnosis.check import Checked as Checked
    from virtsec.domain.records import DomainState as DomainState
    from virtsec.enter.door import Command as Command
    from virtsec.enter.door import Completed as Completed
    from virtsec.errors import BadInput as BadInput
    from virtsec.errors import Failed as Failed
    from virtsec.errors import HostNotReady as HostNotReady
    from virtsec.errors import LibvirtFailed as LibvirtFailed
    from virtsec.errors import NotFound as NotFound
    from virtsec.errors import PolicyFailed as PolicyFailed
    from virtsec.errors import Refused as Refused
    from virtsec.errors import RootfsFailed as RootfsFailed
    from virtsec.errors import VirtsecError as VirtsecError
    from virtsec.fleet.difference import Action as Action
    from virtsec.fleet.difference import Change as Change
    from virtsec.fleet.difference import Difference as Difference
    from virtsec.host.setup import SetupResult as SetupResult
    from virtsec.mac.denial import Weighed as Weighed
    from virtsec.mac.protocol import Enforcement as Enforcement
    from virtsec.plans.define import DefinePlan as DefinePlan
    from virtsec.rootfs.journal import Query as Query
    from virtsec.spec import Addition as Addition
    from virtsec.spec import ApartBy as ApartBy
    from virtsec.spec import Base as Base
    from virtsec.spec import ContainerSpec as ContainerSpec
    from virtsec.spec import Egress as Egress
    from virtsec.spec import Exposed as Exposed
    from virtsec.spec import Identity as Identity
    from virtsec.spec import IdRange as IdRange
    from virtsec.spec import InitPolicy as InitPolicy
    from virtsec.spec import Label as Label
    from virtsec.spec import Limits as Limits
    from virtsec.spec import Link as Link
    from virtsec.spec import Mount as Mount
    from virtsec.spec import Network as Network
    from virtsec.spec import NetworkKind as NetworkKind
    from virtsec.spec import Served as Served
    from virtsec.spec import Transport as Transport
    from virtsec.spec import default_root as default_root
    from virtsec.step import Host as Host
    from virtsec.step import Progress as Progress
    from virtsec.step import Silent as Silent
    from virtsec.step import Step as Step
    from virtsec.step import Watcher as Watcher

__version__ = "0.1.0"

#: Where each name comes from: what is imported above, for those who do not run it.
# fmt: off
_HOMES: dict[str, tuple[str, ...]] = {
    "virtsec.attacks.probe": ("Probe",),
    "virtsec.attacks.proof": ("Result", "Verdict"),
    "virtsec.attacks.verified": ("Verified",),
    "virtsec.audits.audited": ("Audited",),
    "virtsec.commands.adopting": ("Adopted", "Released", "adopt", "release"),
    "virtsec.commands.auditing": ("audit", "audit_page", "audit_picture"),
    "virtsec.commands.bases": (
        "Described", "Made", "Removed", "base_names", "create_base", "describe_base",
        "list_bases", "newest_base", "refresh_base", "remove_base",
    ),
    "virtsec.commands.copies": ("Exported", "Renamed", "clone", "export", "import_", "rename"),
    "virtsec.commands.definition": (
        "apply", "define", "define_from_xml", "label", "plan", "plan_from_xml", "undefine",
    ),
    "virtsec.commands.doctoring": ("Diagnosis", "doctor"),
    "virtsec.commands.entering": ("attach", "console", "copy_in", "copy_out", "logs", "run"),
    "virtsec.commands.fleet": (
        "FleetPlan", "apply_fleet", "destroy_fleet", "diff_fleet", "export_fleet",
        "fleet_schema", "fleet_text", "plan_fleet",
    ),
    "virtsec.commands.host": (
        "check_ready", "domain_names", "installed", "network_names", "open_host",
    ),
    "virtsec.commands.kinds": ("Shifted", "shift"),
    "virtsec.commands.lifecycle": ("destroy", "reboot", "shutdown", "start"),
    "virtsec.commands.limiting": ("Limited", "limit"),
    "virtsec.commands.linking": ("Linked", "link", "links", "unlink"),
    "virtsec.commands.listing": ("info", "list_domains"),
    "virtsec.commands.policies": ("Compared", "Shown", "diff_policy", "show_policy"),
    "virtsec.commands.preparing": ("protect", "setup"),
    "virtsec.commands.reaching": ("Reached", "reach"),
    "virtsec.commands.results": (
        "Acted", "Confinement", "Defined", "Info", "Kind", "Labelled", "Listed", "Planned",
        "Started", "Undefined", "as_json",
    ),
    "virtsec.commands.rollout": ("Done", "Outcomes"),
    "virtsec.commands.suggesting": ("Suggested", "suggest_policy"),
    "virtsec.commands.verifying": ("list_attacks", "verify", "verify_page"),
    "virtsec.diagnosis.check": ("Checked",),
    "virtsec.domain.records": ("DomainState",),
    "virtsec.enter.door": ("Command", "Completed"),
    "virtsec.errors": (
        "BadInput", "Failed", "HostNotReady", "LibvirtFailed", "NotFound", "PolicyFailed",
        "Refused", "RootfsFailed", "VirtsecError",
    ),
    "virtsec.fleet.difference": ("Action", "Change", "Difference"),
    "virtsec.host.setup": ("SetupResult",),
    "virtsec.mac.denial": ("Weighed",),
    "virtsec.mac.protocol": ("Enforcement",),
    "virtsec.plans.define": ("DefinePlan",),
    "virtsec.rootfs.journal": ("Query",),
    "virtsec.spec": (
        "Addition", "ApartBy", "Base", "ContainerSpec", "Egress", "Exposed", "IdRange",
        "Identity", "InitPolicy", "Label", "Limits", "Link", "Mount", "Network", "NetworkKind",
        "Served", "Transport", "default_root",
    ),
    "virtsec.step": ("Host", "Progress", "Silent", "Step", "Watcher"),
}
# fmt: on
__all__ = ["__version__", *(name for names in _HOMES.values() for name in names)]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'virtsec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
