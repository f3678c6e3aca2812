"""audit: what containers may reach, by the policy in force, and what is not as virtsec made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from virtsec.audits.audited import Audited
from virtsec.audits.matrix import svg
from virtsec.audits.report import page
from virtsec.audits.survey import of_host, opened, shared
from virtsec.commands.find import check_policy
from virtsec.commands.host import open_host
from virtsec.diagnosis.check import Checked, examine
from virtsec.diagnosis.containers import container_checks, is_ours
from virtsec.diagnosis.host import host_checks
from virtsec.domain.claims import claims
from virtsec.domain.links import ways
from virtsec.domain.metadata import readable
from virtsec.domain.records import DomainRecord
from virtsec.host.places import Places
from virtsec.plans.host import policy_of
from virtsec.step import Host

#: Those of doctor's checks that say who may reach whom. The policy is of those who have the labels
#: that it names, and hook and controller see to that at each start.
_OF_HOST = {"enforcing", "policy", "secrets", "links", "hook", "controller", "hook-in-force"}
_OF_CONTAINER = {"definition", "module", "alone", "live-label"}


def audit(host: Host | None = None) -> Audited:
    """Ask the policy, and look at every domain. Changes nothing.

    Raises `HostNotReady` when setup was not run or what reads the policy is not installed.
    """
    host = host or open_host()
    check_policy(host)
    records = host.libvirt.domains()
    loaded = host.mac.loaded()
    # Of one that another security module labels it is a finding, and there is nothing to ask.
    ours = [each for each in readable(records) if each.identity.label.model == host.mac.model]
    containers = [
        each for each in ours if each.name in loaded or not policy_of(each, host.mac).text
    ]
    reach = host.mac.reach([each.identity.label for each in containers])
    reached = tuple(opened(reach, containers))
    through = tuple(shared(reach, containers))
    lacking = [each.name for each in ours if each not in containers]
    findings = tuple(_findings(records, lacking, host))
    return Audited(
        model=host.mac.model,
        enforcement=host.mac.enforcement(),
        sound=not reached and not findings and all(each.kept for each in through),
        host_labels=reach.host_labels(),
        containers=tuple(of_host(reach, containers)),
        open=reached,
        links=tuple(ways(containers)),
        shared=through,
        findings=findings,
    )


def audit_picture(found: Audited) -> str:
    """Who may reach whom, as an SVG that stands alone."""
    return svg(found)


def audit_page(found: Audited) -> str:
    """All of it as an HTML page for an auditor: one file, no network."""
    return page(found)


def _findings(
    records: Sequence[DomainRecord], lacking: Sequence[str], host: Host
) -> Iterator[Checked]:
    asked = [each for each in host_checks(host, Places()) if each.id in _OF_HOST]
    yield from (each for each in examine("host", asked, fix=False) if not each.good)
    claimed = {record.name: claims([record]) for record in records}
    for record in filter(is_ours, records):
        checks = container_checks(record, claimed, host)
        asked = [each for each in checks if each.id in _OF_CONTAINER]
        yield from (each for each in examine(record.name, asked, fix=False) if not each.good)
    for name in lacking:
        yield Checked(
            name,
            "policy-loaded",
            good=False,
            sentence="Its policy is not loaded, so there is nothing to be said about it.",
            remedy="Run `virtsec doctor --fix`.",
            fixable=True,
            fixed=False,
        )
