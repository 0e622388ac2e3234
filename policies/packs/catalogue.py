"""Every rule of the packs: what it is for, how grave, how to mend it, and which controls of known frameworks it serves. ``docs/policies.md`` is made from here.

The mapping to a framework says which control the rule helps to meet; whether that is enough is the auditor's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.boundary.finding import Severity

PackName = Literal["boundary", "tenant-isolation", "spend", "hygiene"]
PACKS: dict[PackName, str] = {
    "boundary": "Everything that the tenant's boundary document asks.",
    "tenant-isolation": "Nothing of one tenant reaches into another's accounts, networks or identities.",
    "spend": "Machines are spot machines, and bid no more than the boundary's caps.",
    "hygiene": "What every machine should have, whatever the boundary says. Advisory; some of it can be remediated.",
}
FRAMEWORKS = ("CIS", "NIST 800-53", "ISO 27001", "SOC 2", "GDPR")
EDITIONS: dict[str, str] = {
    "CIS": "Foundations Benchmarks: AWS 3.0.0, Microsoft Azure 2.0.0, Google Cloud Platform 2.0.0",
    "NIST 800-53": "SP 800-53 Revision 5",
    "ISO 27001": "ISO/IEC 27001:2022, Annex A",
    "SOC 2": "Trust Services Criteria 2017, points of focus of 2022",
    "GDPR": "Regulation (EU) 2016/679",
}
"""Which edition of a framework the numbers of its controls are of: they change from one to the next."""
EVERYTHING = "spotlane"
"""The four packs as one policy: a resource is read and decided once."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``frameworks`` names controls by framework."""

    name: str
    packs: tuple[PackName, ...]
    severity: Severity
    title: str
    why: str
    mend: str
    frameworks: Mapping[str, tuple[str, ...]]
    remediable: bool = False


def _controls(cis: str = "", nist: str = "", iso: str = "", soc2: str = "", gdpr: str = "") -> dict[str, tuple[str, ...]]:
    return {framework: tuple(text.split("; ")) for framework, text in zip(FRAMEWORKS, (cis, nist, iso, soc2, gdpr), strict=True) if text}


RULES: tuple[Rule, ...] = (
    Rule(
        "residency", ("boundary",), "critical", "Data stays in the regions that the boundary allows",
        "A resource in another jurisdiction puts its data under another law. A region that isn't listed, or can't be known, is refused.",
        "Use a region inside the boundary, or have its owner admit the region (residency.allow, or an exemption with an end).",
        _controls(nist="AC-4; SA-9(5); SC-7", iso="A.5.14; A.5.34", soc2="CC6.7; P6.1", gdpr="Art. 44; Art. 45; Art. 46"),
    ),
    Rule(
        "replication", ("boundary",), "high", "Copies stay where copies may go",
        "Replicas, backups and the clouds' own region pairs move data without anybody asking; five of Azure's pairs leave the country.",
        "Use locally or zone-redundant storage, or a region of the same country.",
        _controls(nist="CP-9; SC-7", iso="A.5.14; A.8.13", soc2="A1.2; P6.1", gdpr="Art. 44"),
    ),
    Rule(
        "data-class", ("boundary",), "critical", "Every data class is declared",
        "A class that the boundary doesn't know has no rules, so nothing may hold it.",
        "Declare the class in the boundary's dataClasses, or correct the tag data-class.",
        _controls(nist="RA-2", iso="A.5.12; A.5.13", soc2="C1.1", gdpr="Art. 9; Art. 30"),
    ),
    Rule(
        "cloud", ("boundary",), "critical", "Only the clouds and partitions that the boundary names",
        "A government or China partition is another contract and another law, even under the same vendor.",
        "Use a cloud and partition of the boundary. This can't be exempted.",
        _controls(nist="SA-9", iso="A.5.23", soc2="CC9.2", gdpr="Art. 28"),
    ),
    Rule(
        "boundary", ("boundary", "tenant-isolation", "spend"), "critical", "There is a boundary, and it can be read",
        "Without a boundary there are no rules; no rules is not the same as everything allowed.",
        "Mend the document's faults, or give the pack its tenant's boundary.",
        _controls(nist="CM-6", iso="A.5.1", soc2="CC5.3"),
    ),
    Rule(
        "account", ("boundary", "tenant-isolation"), "critical", "Only the tenant's own accounts",
        "A role, network or disk of another account is a door between tenants.",
        "Use an account that the tenant's stack made. This can't be exempted.",
        _controls(nist="AC-3; AC-4; SC-2", iso="A.8.22; A.5.15", soc2="CC6.1", gdpr="Art. 32"),
    ),
    Rule(
        "tenant-tag", ("tenant-isolation",), "high", "A resource carries its own tenant's name",
        "Cost, audit and clean-up go by the tag tenant; a wrong one charges and deletes the wrong tenant's.",
        "Set the tag tenant to the stack's tenant.",
        _controls(nist="CM-8", iso="A.5.9", soc2="CC6.1"),
    ),
    Rule(
        "identity-wildcard", ("tenant-isolation",), "critical", "No identity may do everything, none is open to everybody",
        "A machine's or service's identity that may do everything undoes every other rule.",
        "Name the actions that are needed; name the principals that may assume the role.",
        _controls(cis="AWS 1.16; Azure 1.23; GCP 1.5", nist="AC-6", iso="A.8.2; A.5.15", soc2="CC6.3", gdpr="Art. 32"),
    ),
    Rule(
        "placement-network", ("tenant-isolation",), "high", "A placement stands in its tenant's own network",
        "A machine without a named subnet falls into the account's default network, with its open defaults.",
        "Name the subnet that the tenant's region stack made.",
        _controls(cis="AWS 5.4; GCP 3.1", nist="SC-7", iso="A.8.22", soc2="CC6.6"),
    ),
    Rule(
        "spot", ("boundary", "spend"), "high", "Machines are spot machines",
        "The boundary, or the placement itself, is spot only: an on-demand machine costs about three times as much.",
        "Ask for spot capacity (AWS instanceMarketOptions, Azure priority Spot, GCP provisioningModel SPOT).",
        _controls(iso="A.8.6"),
    ),
    Rule(
        "price-cap", ("spend",), "medium", "A spot machine bids no more than the boundary's cap",
        "Without a bid a spot machine may cost as much as an on-demand one. (GCP takes no bids: its price is fixed for weeks.)",
        "Set AWS spotOptions.maxPrice or Azure billingProfile.maxPrice to spend.usdPerHour or less.",
        _controls(iso="A.8.6", soc2="CC3.1"),
    ),
    Rule(
        "month-cap", ("spend",), "medium", "No machine's bid alone exceeds the boundary's cap on the month",
        "A bid that holds to the month's end is what the machine may cost. What was paid so far the pack can't know: placement holds the cap itself.",
        "Bid less (maxUsdPerHour of the workload), or have the boundary's owner raise spend.usdPerMonth.",
        _controls(iso="A.8.6", soc2="CC3.1"),
    ),
    Rule(
        "encryption", ("boundary",), "high", "Disks are encrypted, by the customer's keys where asked",
        "A disk or snapshot in clear can be read by whoever gets hold of it.",
        "Encrypt every disk, the root disk too; name a customer-managed key where the boundary asks for one.",
        _controls(cis="AWS 2.2.1; Azure 7.3; GCP 4.7", nist="SC-12; SC-13; SC-28", iso="A.8.24", soc2="CC6.1", gdpr="Art. 32(1)(a)"),
    ),
    Rule(
        "network", ("boundary",), "high", "Machines aren't exposed",
        "Machines are reached through their tunnels; a public address or an open firewall is a second way in, or out.",
        "Leave out the public address; name sources and destinations in firewalls.",
        _controls(cis="AWS 5.2; AWS 5.3; Azure 6.1; GCP 3.6", nist="SC-7; AC-17", iso="A.8.20; A.8.22", soc2="CC6.6", gdpr="Art. 32"),
    ),
    Rule(
        "instance-metadata", ("boundary",), "medium", "AWS machines answer metadata to session tokens only",
        "With IMDSv1 one forged request from inside fetches the machine's credentials.",
        "Set metadataOptions.httpTokens to required.",
        _controls(cis="AWS 5.6", nist="AC-3; SC-7", iso="A.8.9", soc2="CC6.1"),
    ),
    Rule(
        "tags", ("boundary",), "low", "What can be tagged carries the boundary's tags",
        "What has no owner is nobody's to clean up or to answer for.",
        "Add them to the resource or to the provider's default tags.",
        _controls(nist="CM-8", iso="A.5.9", soc2="CC6.1"),
    ),
    Rule(
        "imdsv2", ("hygiene",), "medium", "IMDSv2 on every AWS machine", "As instance-metadata, also where the boundary doesn't ask for it.",
        "Set metadataOptions.httpTokens to required.", _controls(cis="AWS 5.6", nist="AC-3", iso="A.8.9", soc2="CC6.1"), remediable=True,
    ),
    Rule(
        "disk-encryption", ("hygiene",), "medium", "Every AWS disk is encrypted", "As encryption, also where the boundary doesn't ask for it.",
        "Set encrypted on every disk.", _controls(cis="AWS 2.2.1", nist="SC-28", iso="A.8.24", soc2="CC6.1", gdpr="Art. 32"), remediable=True,
    ),
    Rule(
        "ownership", ("hygiene",), "low", "The tags tenant and Name or workload are there", "Nothing runs that nobody knows.",
        "Add the tag tenant.", _controls(nist="CM-8", iso="A.5.9"), remediable=True,
    ),
    Rule(
        "admin-port", ("hygiene",), "critical", "SSH, RDP and databases aren't open to the internet",
        "These ports are found and tried within minutes.", "Name the sources, or leave the port closed and use the tunnel.",
        _controls(cis="AWS 5.2; Azure 6.1; Azure 6.2; GCP 3.6; GCP 3.7", nist="SC-7; AC-17", iso="A.8.20", soc2="CC6.6"),
    ),
    Rule(
        "spot-fallback", ("hygiene",), "low", "A spot machine that is taken back goes away",
        "A stopped or hibernated spot machine keeps its disk and its bill, and comes back where it isn't expected.",
        "AWS instanceInterruptionBehavior terminate and spotInstanceType one-time; Azure evictionPolicy Delete; GCP instanceTerminationAction DELETE.",
        _controls(iso="A.8.6", soc2="A1.1"),
    ),
    Rule(
        "bucket-public", ("hygiene",), "high", "Objects can't be made public", "One wrong policy, and everybody reads what is stored.",
        "AWS: all four settings of the public access block true; Azure allowBlobPublicAccess false; GCP publicAccessPrevention enforced.",
        _controls(cis="AWS 2.1.4; GCP 5.1", nist="AC-3; SC-7", iso="A.8.3", soc2="CC6.1", gdpr="Art. 32"),
    ),
    Rule(
        "plain-transport", ("hygiene",), "high", "Storage answers over TLS 1.2 or later only", "What goes in clear can be read, and changed, on the way.",
        "Set enableHttpsTrafficOnly to true and minimumTlsVersion to TLS1_2.",
        _controls(cis="Azure 3.1; Azure 3.15", nist="SC-8", iso="A.8.24", soc2="CC6.7", gdpr="Art. 32(1)(a)"),
    ),
    Rule(
        "database-public", ("hygiene",), "high", "Databases have no address on the internet", "A database behind a password alone is tried all day.",
        "Set publiclyAccessible (AWS) or ipConfiguration.ipv4Enabled (GCP, on by default) to false.",
        _controls(cis="AWS 2.3.3; GCP 6.6", nist="SC-7; AC-17", iso="A.8.20", soc2="CC6.6", gdpr="Art. 32"),
    ),
    Rule(
        "interactive-login", ("hygiene",), "medium", "Machines take no passwords and no serial console",
        "Passwords are guessed; a serial port knows no firewall.",
        "Azure disablePasswordAuthentication true; leave GCP's metadata serial-port-enable out.",
        _controls(cis="GCP 4.5", nist="IA-2; AC-17", iso="A.8.5", soc2="CC6.1"),
    ),
    Rule(
        "unshielded", ("hygiene",), "medium", "Shielded VM stays on", "Without its measurements a changed boot chain isn't noticed.",
        "Leave enableVtpm and enableIntegrityMonitoring at true.", _controls(cis="GCP 4.8", nist="SI-7", iso="A.8.9", soc2="CC6.8"),
    ),
    Rule(
        "ip-forwarding", ("hygiene",), "medium", "Machines don't route", "A machine that passes on others' packets is a way around the network's rules.",
        "Leave canIpForward, enableIPForwarding and sourceDestCheck at their defaults.",
        _controls(cis="GCP 4.6", nist="SC-7; CM-7", iso="A.8.20", soc2="CC6.6"),
    ),
    Rule(
        "default-identity", ("hygiene",), "high", "No machine runs as the project's default account", "That account may edit the whole project.",
        "Give the machine a service account of its own.", _controls(cis="GCP 4.1; GCP 4.2", nist="AC-6", iso="A.5.15", soc2="CC6.3"),
    ),
    Rule(
        "static-key", ("hygiene",), "high", "No credential without an end", "Keys that last are found later, in a log or a repository.",
        "Use a role, a managed identity or workload identity federation.",
        _controls(cis="AWS 1.14; GCP 1.4", nist="IA-5", iso="A.5.17", soc2="CC6.1"),
    ),
    Rule(
        "key-rotation", ("hygiene",), "medium", "Keys of one's own change", "The longer a key is used, the more is lost with it.",
        "Set enableKeyRotation (AWS) or rotationPeriod (GCP).",
        _controls(cis="AWS 3.6; GCP 1.10", nist="SC-12", iso="A.8.24", soc2="CC6.1", gdpr="Art. 32"),
    ),
    Rule(
        "flow-logs", ("hygiene",), "low", "Google's subnets keep flow logs", "Without them nobody can say afterwards who talked to whom.",
        "Set logConfig on the subnet.", _controls(cis="GCP 3.8", nist="AU-12; SI-4", iso="A.8.15", soc2="CC7.2", gdpr="Art. 33"),
    ),
)  # fmt: skip

BY_NAME: dict[str, Rule] = {rule.name: rule for rule in RULES}


def rules_of(pack: str) -> frozenset[str]:
    """The names of a pack's rules; of :data:`EVERYTHING`, all but the advisory ones."""
    if pack == EVERYTHING:
        return frozenset(rule.name for rule in RULES if rule.packs != ("hygiene",))
    return frozenset(rule.name for rule in RULES if pack in rule.packs)


def page() -> str:
    """``docs/policies.md``."""
    lines = [
        "# Policies",
        "",
        "Made from `policies/packs/catalogue.py` by `python -m policies.documents`; don't edit by hand.",
        "",
        "The packs stand in `policies/packs/<name>.pack`; `spotlane.pack` holds the first three as one policy, so that a resource is read and decided once.",
        "Hand one to the engine by `pulumi preview --policy-pack policies/packs/spotlane.pack`. See [reviews.md](reviews.md) for pull requests.",
        "",
    ]
    for pack, title in PACKS.items():
        lines += [f"## {pack}", "", title, "", "| rule | severity | what | mend |", "|---|---|---|---|"]
        for rule in RULES:
            if pack in rule.packs:
                lines.append(f"| `{rule.name}`{' (remediable)' if rule.remediable else ''} | {rule.severity} | {rule.title}. {rule.why} | {rule.mend} |")
        lines.append("")
    editions = "; ".join(f"{framework}: {EDITIONS[framework]}" for framework in FRAMEWORKS)
    lines += ["## Frameworks", "", f"Which controls a rule helps to meet. {editions}.", "", f"| rule | {' | '.join(FRAMEWORKS)} |", "|---|---|---|---|---|---|"]
    for rule in RULES:
        cells = (", ".join(rule.frameworks.get(framework, ())) for framework in FRAMEWORKS)
        lines.append(f"| `{rule.name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
