"""What the GCP components declare: a fenced project that nobody enters by a key, a closed network, a key that can be made again, one machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.gcp import disk_key, network, offering, spot
from components.gcp.offering import Gpu
from components.tenant import gcp as tenant
from components.tenant.gcp_policies import policies
from stacks import placement, region
from stacks import tenant as tenant_stack
from stacks.settings import SettingsError, load_settings, parse_stack_name
from tests.components.declared import Declared, declared
from tests.stacks.test_foundations import CLOUDS, EU, TENANT
from tests.stacks.test_placement import REGIONS, STACK, document

FEDERATION = tenant.Federation("https://issuer.example.com", "automation", "https://spotlane.example.com")
POOL = "projects/123456789012/locations/global/workloadIdentityPools/spotlane-automation"


def project(**changes: Any) -> Declared:
    args: dict[str, Any] = {"tenant": "acme", "allowed_locations": ["in:europe-west4-locations"], "project_id": "spotlane-acme", "folder_id": "42"}
    args |= {"billing_account": "0-1-2", "tags": {"tenant": "acme"}, **changes}
    return declared(lambda: _made(tenant.TenantProject("gcp", tenant.TenantProjectArgs(**args))), "tenant.acme")


def _made(component: tenant.TenantProject) -> None:
    pulumi.export("project_id", component.project_id)
    pulumi.export("project_number", component.project_number)
    pulumi.export("automation_email", component.automation_email)


def rules(run: Declared) -> dict[str, Any]:
    """The only rule of each organisation policy, by constraint."""
    found = {}
    for policy in run.inputs("Policy"):
        (rule,) = policy["spec"]["rules"]
        assert policy["name"].startswith(policy["parent"] + "/policies/")
        found[policy["name"].rpartition("/")[2]] = rule
    return found


def machine(**changes: Any) -> Any:
    args: dict[str, Any] = {"machine_name": "web-acme-3", "zone": "europe-west4-a", "machine_type": "n2-standard-2", "arch": "x86_64"}
    args |= {"subnetwork_id": "subnet", "service_account": "wl@acme", "user_data": "boot", "tags": {"tenant": "acme", "cost-center": "42"}, **changes}

    def program() -> None:
        spot.SpotMachine("machine", spot.SpotMachineArgs(**args))

    return declared(program, "placement.acme.web.3").one("Instance")


# Tenant


def test_a_new_project_stands_in_its_folder_is_billed_and_can_be_destroyed() -> None:
    run = project()
    made = run.one("Project")
    assert (made["projectId"], made["folderId"], made["billingAccount"]) == ("spotlane-acme", "42", "0-1-2")
    assert (made["deletionPolicy"], made["autoCreateNetwork"], made["labels"]) == ("DELETE", False, {"tenant": "acme"})
    assert run.outputs["project_number"] == "123456789012"
    assert run.one("DefaultServiceAccounts") == {"project": "spotlane-acme", "action": "DEPRIVILEGE", "restorePolicy": "NONE"}


def test_only_the_apis_in_use_are_enabled_and_those_of_budgets_with_a_budget() -> None:
    assert {service["service"] for service in project().inputs("Service")} == set(tenant.SERVICES)
    with_budget = project(budget_usd_per_month=100.0)
    assert {service["service"] for service in with_budget.inputs("Service")} == {*tenant.SERVICES, *tenant.BUDGET_SERVICES}


def test_the_project_is_fenced_by_organisation_policies() -> None:
    found = rules(project())
    assert found["gcp.resourceLocations"] == {"values": {"allowedValues": ["in:europe-west4-locations"]}}
    assert found["compute.vmExternalIpAccess"] == found["compute.vmCanIpForward"] == {"denyAll": "TRUE"}
    for constraint in ("iam.disableServiceAccountKeyCreation", "iam.disableServiceAccountKeyUpload", "compute.requireOsLogin"):
        assert found[constraint] == {"enforce": "TRUE"}
    assert "gcp.restrictNonCmekServices" not in found


@pytest.mark.parametrize(
    ("changes", "constraint", "rule"),
    [
        ({"allowed_locations": []}, "gcp.resourceLocations", {"denyAll": "TRUE"}),
        ({"public_addresses": True}, "compute.vmExternalIpAccess", None),
        ({"customer_keys": True}, "gcp.restrictNonCmekServices", {"values": {"deniedValues": ["compute.googleapis.com"]}}),
    ],
)
def test_a_policy_follows_from_what_the_tenant_asks(changes: dict[str, Any], constraint: str, rule: Any) -> None:
    assert rules(project(**changes)).get(constraint) == rule


def test_no_two_policies_are_about_the_same_constraint() -> None:
    named = [policy.constraint for policy in policies(["in:eu-locations"], public_addresses=False, customer_keys=True)]
    assert len(set(named)) == len(named)


def test_a_foreign_token_becomes_the_automation_account_for_one_subject_only() -> None:
    run = project(federation=FEDERATION)
    provider = run.one("WorkloadIdentityPoolProvider")
    (member,) = [one for one in run.inputs("IAMMember") if "serviceAccountId" in one]
    assert provider["attributeCondition"] == "assertion.sub == 'automation'"
    assert provider["oidc"] == {"issuerUri": "https://issuer.example.com", "allowedAudiences": ["https://spotlane.example.com"]}
    assert member["role"] == "roles/iam.workloadIdentityUser"
    assert member["member"] == f"principal://iam.googleapis.com/{POOL}/subject/automation"
    assert run.one("WorkloadIdentityPool")["workloadIdentityPoolId"] == "spotlane-automation"
    assert [args.typ for args in run.resources if args.typ.endswith(":Key")] == []


def test_an_identity_at_google_may_impersonate_the_account_when_it_is_named() -> None:
    run = project(automation_principal="serviceAccount:automation@platform.iam.gserviceaccount.com")
    (member,) = [one for one in run.inputs("IAMMember") if "serviceAccountId" in one]
    assert (member["role"], member["member"]) == (
        "roles/iam.serviceAccountTokenCreator",
        "serviceAccount:automation@platform.iam.gserviceaccount.com",
    )


def test_the_automation_role_names_each_permission_and_none_over_the_project_itself() -> None:
    run = project()
    permissions = run.one("IAMCustomRole")["permissions"]
    assert permissions == sorted(set(permissions))
    assert not [
        one for one in permissions if "*" in one or one.startswith(("resourcemanager.", "orgpolicy.", "billing.", "iam.roles", "iam.serviceAccountKeys"))
    ]
    (member,) = run.inputs("IAMMember")
    assert member["project"] == "spotlane-acme"


def test_a_budget_tells_its_people_before_and_when_it_is_reached() -> None:
    run = project(budget_usd_per_month=99.5, alert_emails=["ops@example.com", "cfo@example.com"])
    budget = run.one("Budget")
    assert budget["amount"] == {"specifiedAmount": {"currencyCode": "USD", "units": "99", "nanos": 500_000_000}}
    assert budget["budgetFilter"] == {"projects": ["projects/123456789012"], "calendarPeriod": "MONTH"}
    assert [(rule["thresholdPercent"], rule["spendBasis"]) for rule in budget["thresholdRules"]] == [
        (0.5, "CURRENT_SPEND"),
        (0.9, "CURRENT_SPEND"),
        (1.0, "CURRENT_SPEND"),
        (1.0, "FORECASTED_SPEND"),
    ]
    assert {channel["labels"]["email_address"] for channel in run.inputs("NotificationChannel")} == {"ops@example.com", "cfo@example.com"}
    assert len(budget["allUpdatesRule"]["monitoringNotificationChannels"]) == 2


def test_an_existing_project_is_fenced_and_left_as_it_is_otherwise() -> None:
    run = project(existing_project_id="acme-prod", project_id=None, budget_usd_per_month=10.0)
    assert run.inputs("Project") == run.inputs("DefaultServiceAccounts") == []
    assert {policy["parent"] for policy in run.inputs("Policy")} == {"projects/acme-prod"}
    assert rules(run)["compute.vmExternalIpAccess"] == {"denyAll": "TRUE"}
    assert run.one("Budget")["budgetFilter"]["projects"] == ["projects/210987654321"]
    assert run.outputs["project_id"] == "acme-prod"


# Region


def regional(**changes: Any) -> Declared:
    def program() -> None:
        network.Network("network", network.NetworkArgs("europe-west4", "10.48.0.0/16", **changes))

    return declared(program, "region.acme.gcp.europe-west4")


def test_machines_reach_https_and_the_tunnels_ends_and_nothing_else() -> None:
    out = {rule["name"]: rule for rule in regional().inputs("Firewall") if rule["direction"] == "EGRESS"}
    assert out["spotlane-europe-west4-https-out"]["allows"] == [{"protocol": "tcp", "ports": ["443"]}]
    assert out["spotlane-europe-west4-tunnel-out"]["destinationRanges"] == list(network.TUNNEL_RANGES)
    assert out["spotlane-europe-west4-tunnel-out"]["allows"] == [{"protocol": "tcp", "ports": ["7844"]}, {"protocol": "udp", "ports": ["7844"]}]
    refused = out["spotlane-europe-west4-deny-out"]
    assert (refused["denies"], refused["destinationRanges"]) == ([{"protocol": "all"}], ["0.0.0.0/0"])
    assert refused["priority"] > max(rule["priority"] for rule in out.values() if "allows" in rule)


def test_refusals_are_always_logged_and_flows_unless_they_are_switched_off() -> None:
    logged, quiet = regional(), regional(flow_logs=False)
    assert all("logConfig" in rule for rule in logged.inputs("Firewall"))
    assert {rule["name"] for rule in quiet.inputs("Firewall") if "logConfig" in rule} == {"spotlane-europe-west4-deny-in", "spotlane-europe-west4-deny-out"}
    assert logged.one("Subnetwork")["logConfig"]["metadata"] == "INCLUDE_ALL_METADATA"
    assert "logConfig" not in quiet.one("Subnetwork")
    assert (logged.one("RouterNat")["logConfig"]["filter"], quiet.one("RouterNat")["logConfig"]["filter"]) == ("ALL", "ERRORS_ONLY")


def test_google_itself_is_reached_privately_from_a_network_of_the_tenants_own() -> None:
    run = regional()
    (made,) = [args.inputs for args in run.resources if args.typ == "gcp:compute/network:Network"]
    assert made["autoCreateSubnetworks"] is False
    subnetwork = run.one("Subnetwork")
    assert (subnetwork["privateIpGoogleAccess"], subnetwork["ipCidrRange"]) == (True, "10.48.0.0/16")


def test_a_disk_key_rotates_serves_compute_engine_only_and_takes_no_name_for_good() -> None:
    args = disk_key.DiskKeyArgs("europe-west4", "123456789012", {"tenant": "acme"})
    run = declared(lambda: pulumi.export("key", disk_key.DiskKey("disk-key", args).key_id), "region.acme.gcp.europe-west4")
    key, member = run.one("CryptoKey"), run.one("CryptoKeyIAMMember")
    # The name is Pulumi's own, with a random suffix: rings and keys can't be deleted.
    assert "name" not in run.one("KeyRing") and "name" not in key
    assert (run.one("KeyRing")["location"], key["rotationPeriod"], key["labels"]) == ("europe-west4", "7776000s", {"tenant": "acme"})
    assert member["member"] == "serviceAccount:service-123456789012@compute-system.iam.gserviceaccount.com"
    assert member["role"] == "roles/cloudkms.cryptoKeyEncrypterDecrypter"
    assert run.outputs["key"] == "disk-key-key-id"


def region_stack(name: str, zones: list[str], **settings: Any) -> Declared:
    stack = f"region.acme.gcp.{name}"
    loaded = load_settings(stack, {"cidr": "10.48.0.0/16", "zones": zones, **settings})
    return declared(lambda: region.declare(parse_stack_name(stack), loaded), stack, {"tenant.acme": TENANT})


def test_a_region_acts_as_the_automation_account_and_has_a_key_where_asked() -> None:
    run = region_stack("europe-west4", ["europe-west4-a"], diskKey="customer")
    (provider,) = [args.inputs for args in run.resources if args.typ == "pulumi:providers:gcp"]
    assert provider["impersonateServiceAccount"] == TENANT["gcp_automation_email"]
    assert run.outputs["disk_key_id"] == "disk-key-key-id"
    assert "disk_key_id" not in region_stack("europe-west4", ["europe-west4-a"]).outputs


# Placement


def test_a_machine_on_demand_is_moved_by_google_and_not_taken_back() -> None:
    assert machine(capacity_type="on-demand")["scheduling"] == {
        "provisioningModel": "STANDARD",
        "preemptible": False,
        "automaticRestart": True,
        "onHostMaintenance": "MIGRATE",
    }


def test_the_disk_is_labelled_and_encrypted_by_the_tenants_key_where_there_is_one() -> None:
    key = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
    disk = machine(disk_key_id=key)["bootDisk"]
    assert (disk["kmsKeySelfLink"], disk["initializeParams"]["labels"], disk["autoDelete"]) == (key, {"tenant": "acme", "cost-center": "42"}, True)
    assert "kmsKeySelfLink" not in machine()["bootDisk"]


def test_a_public_address_is_there_only_when_asked_for() -> None:
    (closed,), (opened,) = machine()["networkInterfaces"], machine(public_address=True)["networkInterfaces"]
    assert "accessConfigs" not in closed
    assert opened["accessConfigs"] == [{"networkTier": "PREMIUM"}]


@pytest.mark.parametrize(
    ("machine_type", "arch", "gpu", "image", "secure_boot", "maintenance"),
    [
        ("n2-standard-2", "x86_64", None, "ubuntu-2404-lts-amd64", True, "MIGRATE"),
        ("t2a-standard-1", "arm64", None, "ubuntu-2404-lts-arm64", False, "MIGRATE"),
        ("g2-standard-4", "x86_64", None, "ubuntu-accelerator-2404-amd64-with-nvidia-580", True, "TERMINATE"),
        ("n1-standard-4", "x86_64", Gpu("nvidia-tesla-t4"), "ubuntu-accelerator-2404-amd64-with-nvidia-580", True, "TERMINATE"),
    ],
)
def test_image_and_boot_follow_architecture_and_gpus(machine_type: str, arch: str, gpu: Gpu | None, image: str, secure_boot: bool, maintenance: str) -> None:
    made = machine(machine_type=machine_type, arch=arch, gpu=gpu, capacity_type="on-demand")
    assert made["bootDisk"]["initializeParams"]["image"].rpartition("/")[2] == image
    shielded = made["shieldedInstanceConfig"]
    assert (shielded["enableSecureBoot"], shielded["enableVtpm"], shielded["enableIntegrityMonitoring"]) == (secure_boot, True, True)
    assert made["scheduling"]["onHostMaintenance"] == maintenance
    assert made.get("guestAccelerators") == ([{"type": "nvidia-tesla-t4", "count": 1}] if gpu else None)


def test_a_machines_tokens_are_good_for_logs_and_metrics_and_what_is_asked_for() -> None:
    assert machine()["serviceAccount"]["scopes"] == sorted(spot.SCOPES)
    reading = "https://www.googleapis.com/auth/devstorage.read_only"
    assert reading in machine(scopes=[reading])["serviceAccount"]["scopes"]
    assert not [scope for scope in spot.SCOPES if scope.endswith("/cloud-platform")]


def test_nobody_gets_onto_a_machine_by_a_key_in_metadata() -> None:
    metadata = machine()["metadata"]
    assert (metadata["block-project-ssh-keys"], metadata["enable-oslogin"], metadata["serial-port-enable"]) == ("true", "true", "false")


def placed(key: str | None = None, **changes: Any) -> Declared:
    foundations = {**REGIONS, "region.acme.gcp.europe-west4": REGIONS["region.acme.gcp.europe-west4"] | ({"disk_key_id": key} if key else {})}
    settings = load_settings(STACK, document("gcp") | changes)
    return declared(lambda: placement.declare(parse_stack_name(STACK), settings), STACK, foundations)


def test_a_placement_takes_the_regions_key_and_says_what_it_costs_and_holds() -> None:
    made = placed("key-1", classification="internal", costCenter="CC-7").one("Instance")
    assert made["bootDisk"]["kmsKeySelfLink"] == "key-1"
    labels = {"classification": "internal", "cost-center": "cc-7", "placement": "acme_web_3", "team": "web", "tenant": "acme", "workload": "web"}
    assert made["labels"] == made["bootDisk"]["initializeParams"]["labels"] == labels | {"managed-by": "spotlane"}
    assert "kmsKeySelfLink" not in placed().one("Instance")["bootDisk"]


# Bad input: refused before the first resource


def _tenant(gcp: dict[str, Any], **more: Any) -> None:
    stack = "tenant.acme"
    tenant_stack.declare(parse_stack_name(stack), load_settings(stack, {"boundary": EU, "gcp": {**CLOUDS["gcp"], **gcp}, **more}))


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: region_stack("europe-west99", ["europe-west99-a"]), "europe-west99"),
        (lambda: region_stack("europe-west4", ["europe-west4-z"]), "has no zone 'europe-west4-z'; it has europe-west4-a"),
        (lambda: placed(zone="us-central1-a"), "europe-west4 has no zone 'us-central1-a'"),
        (lambda: placed(instanceType="x4-megamem-960-metal"), "no spot x4-megamem-960-metal"),
        (lambda: placed(instanceType="c3-standard-192-metal"), "no spot c3-standard-192-metal"),
        (lambda: placed(instanceType="t2a-standard-1"), "arch: t2a-standard-1 is an arm64 machine"),
        (lambda: _tenant({"projectId": "Acme_1"}), "gcp.projectId"),
        (lambda: _tenant({"projectId": "a" * 31}), "gcp.projectId"),
        (lambda: _tenant({"oidcProviderUrl": "https://issuer.example.com"}), "an issuer without a subject would let everybody in"),
        (lambda: _tenant({"oidcProviderUrl": "https://issuer.example.com", "oidcSubject": "a' || true || 'b"}), "gcp.oidcSubject"),
        (lambda: _tenant({"poolId": "gcp-mine"}), "poolId begins with gcp-"),
        (lambda: _tenant({"billingAccount": None}, budgetUsdPerMonth=10), "gcp.billingAccount: a budget is one of a billing account"),
        (lambda: _tenant({}, budgetUsdPerMonth=10, alertEmails=[f"a{number}@example.com" for number in range(6)]), "alertEmails: .* 6 are given"),
    ],
)
def test_bad_input_is_refused_before_anything_is_declared(refused: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        refused()


@pytest.mark.parametrize(
    ("machine_type", "gpu", "fault"),
    [
        ("g2-standard-4", Gpu("nvidia-l4"), "brings its own"),
        ("n2-standard-2", Gpu("nvidia-tesla-t4"), "takes none"),
        ("n1-standard-4", Gpu("nvidia-tesla-t4"), ""),
    ],
)
def test_only_n1_takes_gpus_beside_its_type(machine_type: str, gpu: Gpu, fault: str) -> None:
    found = offering.machine_faults("europe-west4", "europe-west4-a", machine_type, "x86_64", "spot", gpu)
    assert [fault in one for one in found] == ([True] if fault else [])


def test_a_type_is_refused_where_it_is_not_sold() -> None:
    (fault,) = offering.machine_faults("europe-west1", "europe-west1-b", "t2a-standard-1", "arm64", "spot")
    assert "isn't sold in europe-west1; it is in asia-southeast1, europe-west4, us-central1" in fault
