"""What the Azure components declare: a fenced subscription, a closed network, a key of the tenant's own, one machine."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.azure import flow_log, network, offering, spot
from components.tenant import azure as tenant
from components.tenant.azure_permissions import AUTOMATION_ACTIONS
from domain.catalog import CATALOG
from stacks import placement, region
from stacks import tenant as tenant_stack
from stacks.settings import SettingsError, load_settings, parse_stack_name
from tests.components.declared import Declared, declared
from tests.stacks.test_foundations import CLOUDS, EU, TENANT
from tests.stacks.test_placement import STACK, document

SUBSCRIPTION = "0f8b3b1e-0000-0000-0000-6a1f5f3f7a10"


def subscription(**changes: Any) -> Declared:
    args: dict[str, Any] = {"tenant": "acme", "allowed_locations": ["westeurope"], "existing_subscription_id": SUBSCRIPTION, "tags": {"tenant": "acme"}}

    def program() -> None:
        tenant.TenantSubscription("azure", tenant.TenantSubscriptionArgs(**{**args, **changes}))

    return declared(program, "tenant.acme")


def region_of(**settings: Any) -> Declared:
    stack = "region.acme.azure.westeurope"
    whole = {"cidr": "10.32.0.0/16", "zones": ["-"], **settings}
    return declared(lambda: region.declare(parse_stack_name(stack), load_settings(stack, whole)), stack, {"tenant.acme": TENANT})


def machine(**changes: Any) -> Declared:
    args: dict[str, Any] = {"machine_name": "web-acme-3", "resource_group_name": "group", "location": "westeurope", "zone": "-"}
    args |= {"vm_size": "Standard_D2s_v5", "arch": "x86_64", "subnet_id": "subnet", "identity_id": "identity", "user_data": "boot"}
    args |= {"tags": {"tenant": "acme", "cost-center": "42"}, **changes}

    def program() -> None:
        spot.SpotMachine("machine", spot.SpotMachineArgs(**args))

    return declared(program, "placement.acme.web.3")


# Tenant


def test_locations_and_public_addresses_are_fenced_by_built_in_policies() -> None:
    assigned = {one["policyAssignmentName"]: one for one in subscription().inputs("PolicyAssignment")}
    assert set(assigned) == {"spotlane-allowed-resources", "spotlane-allowed-groups", "spotlane-no-public-addresses"}
    assert assigned["spotlane-no-public-addresses"]["policyDefinitionId"] == tenant.NO_PUBLIC_ADDRESSES
    assert {one["scope"] for one in assigned.values()} == {f"/subscriptions/{SUBSCRIPTION}"}


def test_machines_for_the_relay_may_have_addresses_and_sizes_are_fenced_where_they_are_named() -> None:
    run = subscription(public_addresses=True, allowed_vm_sizes=["Standard_D2s_v5"])
    assigned = {one["policyAssignmentName"]: one for one in run.inputs("PolicyAssignment")}
    assert "spotlane-no-public-addresses" not in assigned
    assert assigned["spotlane-allowed-sizes"]["parameters"] == {"listOfAllowedSKUs": {"value": ["Standard_D2s_v5"]}}


def test_the_boundary_decides_before_the_setting_whether_there_are_public_addresses() -> None:
    settings = {"boundary": {**EU, "network": {"publicAddresses": "none"}}, "azure": {**CLOUDS["azure"], "publicAddresses": True}}
    run = declared(lambda: tenant_stack.declare(parse_stack_name("tenant.acme"), load_settings("tenant.acme", settings)), "tenant.acme")
    assert "spotlane-no-public-addresses" in {one["policyAssignmentName"] for one in run.inputs("PolicyAssignment")}


def test_the_automation_role_has_no_wildcard_and_assigns_no_roles() -> None:
    (permission,) = subscription().one("RoleDefinition")["permissions"]
    assert permission["actions"] == list(AUTOMATION_ACTIONS)
    assert [action for action in AUTOMATION_ACTIONS if "*" in action or action.startswith("Microsoft.Authorization/")] == []


def test_a_budget_begins_with_the_month_and_tells_of_eighty_and_of_a_hundred_per_cent() -> None:
    budget = subscription(budget=tenant.Budget(200.0, "2026-11-01", ["ops@example.com"])).one("Budget")
    assert (budget["amount"], budget["timePeriod"]) == (200.0, {"startDate": "2026-11-01T00:00:00Z"})
    assert {name: one["threshold"] for name, one in budget["notifications"].items()} == {"Actual-80": 80, "Actual-100": 100, "Forecasted-100": 100}
    assert subscription().inputs("Budget") == []


def test_more_addresses_than_a_budget_tells_are_refused_before_anything_is_declared() -> None:
    settings = {"boundary": EU, "azure": CLOUDS["azure"], "budgetUsdPerMonth": 5, "alertEmails": [f"{number}@example.com" for number in range(51)]}
    with pytest.raises(SettingsError, match="a budget of Azure's tells 50 at most, 51 are given"):
        declared(lambda: tenant_stack.declare(parse_stack_name("tenant.acme"), load_settings("tenant.acme", settings)), "tenant.acme")


# Region


def test_machines_reach_https_and_the_tunnels_ends_and_nothing_else() -> None:
    rules = region_of().one("NetworkSecurityGroup")["securityRules"]
    allowed = [one for one in rules if one["access"] == "Allow"]
    assert {one["direction"] for one in allowed} == {"Outbound"}
    ends = [(one["protocol"], one["destinationPortRange"], one.get("destinationAddressPrefixes") or [one["destinationAddressPrefix"]]) for one in allowed]
    tunnel = list(network.TUNNEL_RANGES)
    assert ends == [("Tcp", "443", ["Internet"]), ("Tcp", "7844", tunnel), ("Udp", "7844", tunnel)]
    assert {(one["direction"], one["priority"]) for one in rules if one["access"] == "Deny"} == {("Inbound", 4096), ("Outbound", 4096)}


def test_the_subnet_has_no_way_out_of_its_own_and_reaches_storage_privately() -> None:
    subnet = region_of().one("Subnet")
    assert (subnet["defaultOutboundAccess"], subnet["serviceEndpoints"]) == (False, [{"service": "Microsoft.Storage"}])


def test_flows_are_kept_in_an_account_that_only_azures_services_reach_unless_the_setting_says_no() -> None:
    run = region_of()
    (log,) = [one for one in run.inputs("FlowLog") if one]
    account = run.one("StorageAccount")
    assert (log["networkWatcherName"], log["retentionPolicy"]) == ("NetworkWatcher_westeurope", {"days": 90, "enabled": True})
    assert (account["minimumTlsVersion"], account["allowBlobPublicAccess"], account["networkRuleSet"]["defaultAction"]) == ("TLS1_2", False, "Deny")
    assert account["accountName"] == flow_log.account_name(TENANT["azure_subscription_id"], "westeurope")
    assert region_of(flowLogs=False).inputs("StorageAccount") == []


def test_an_accounts_name_is_azures_form_and_another_for_each_subscription_and_location() -> None:
    names = {flow_log.account_name(one, location) for one in ("a", "b") for location in ("westeurope", "northeurope")}
    assert len(names) == 4 and all(re.fullmatch(r"[a-z0-9]{3,24}", name) for name in names)


def test_a_customers_key_rotates_and_only_the_encryption_set_wraps_with_it() -> None:
    run = region_of(diskKey="customer")
    vault, key = run.one("Vault")["properties"], run.one("Key")["properties"]
    (policy,) = vault["accessPolicies"]
    assert (policy["permissions"], vault["enablePurgeProtection"], vault["publicNetworkAccess"]) == (
        {"keys": ["get", "wrapKey", "unwrapKey"]},
        True,
        "disabled",
    )
    assert key["rotationPolicy"]["lifetimeActions"][0]["action"] == {"type": "rotate"}
    assert run.one("DiskEncryptionSet")["rotationToLatestKeyVersionEnabled"] is True
    assert run.outputs["disk_key_id"] == "disk-key-set-id"
    assert region_of().inputs("Vault") == []


@pytest.mark.parametrize(("name", "zones", "fault"), [("westeurop", ["-"], "did you mean westeurope"), ("westeurope", ["9"], "no zone '9'")])
def test_a_region_or_zone_that_azure_has_not_is_refused_before_anything_is_declared(name: str, zones: list[str], fault: str) -> None:
    stack = f"region.acme.azure.{name}"
    with pytest.raises(SettingsError, match=fault):
        region.declare(parse_stack_name(stack), load_settings(stack, {"cidr": "10.16.0.0/16", "zones": zones}))


# Machine


def test_a_spot_machine_is_deleted_when_evicted_and_a_regular_one_has_no_bid() -> None:
    cheap, regular = machine(max_usd_per_hour=0.05).one("VirtualMachine"), machine(capacity_type="on-demand").one("VirtualMachine")
    assert (cheap["priority"], cheap["evictionPolicy"], cheap["billingProfile"]) == ("Spot", "Delete", {"maxPrice": 0.05})
    assert (regular["priority"], "evictionPolicy" in regular, "billingProfile" in regular) == ("Regular", False, False)


def test_a_machine_has_a_public_address_only_where_it_asks_for_one() -> None:
    assert machine().inputs("PublicIPAddress") == []
    run = machine(public_address=True)
    (configuration,) = run.one("NetworkInterface")["ipConfigurations"]
    assert configuration["publicIPAddress"] == {"id": "machine-address-id"}


def test_the_disk_is_encrypted_by_the_customers_key_where_there_is_one() -> None:
    ours, theirs = (run.one("VirtualMachine")["storageProfile"]["osDisk"]["managedDisk"] for run in (machine(), machine(disk_encryption_set_id="set")))
    assert ("diskEncryptionSet" in ours, theirs["diskEncryptionSet"]) == (False, {"id": "set"})


@pytest.mark.parametrize(
    ("size", "arch", "image"),
    [
        ("Standard_D2s_v5", "x86_64", ("Canonical", "server")),
        ("Standard_D2ps_v5", "arm64", ("Canonical", "server-arm64")),
        ("Standard_NC4as_T4_v3", "x86_64", ("microsoft-dsvm", "2204")),
    ],
)
def test_the_image_is_of_the_machines_architecture_and_brings_the_driver_for_its_gpus(size: str, arch: str, image: tuple[str, str]) -> None:
    profile = machine(vm_size=size, arch=arch).one("VirtualMachine")["storageProfile"]
    assert (profile["imageReference"]["publisher"], profile["imageReference"]["sku"]) == image


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"arch": "arm64"}, "arch: Standard_D2s_v5 is an x86_64 machine"),
        ({"instanceType": "Standard_B2s"}, "Azure sells no spot Standard_B2s"),
        ({"instanceType": "m5.large"}, "'m5.large' is no size of Azure"),
        ({"region": "westeurop"}, "did you mean westeurope"),
    ],
)
def test_a_machine_that_cannot_be_is_refused_before_anything_is_declared(change: dict[str, str], fault: str) -> None:
    whole = {**document("azure"), **change}
    with pytest.raises(SettingsError, match=re.escape(fault)):
        placement.declare(parse_stack_name(STACK), load_settings(STACK, whole))


def test_a_sizes_name_tells_what_the_catalogue_says_of_it() -> None:
    wrong = [one.name for one in CATALOG.machines("azure") if offering.architecture(one.name) != one.arch or offering.has_gpu(one.name) != bool(one.gpu)]
    assert wrong == []
