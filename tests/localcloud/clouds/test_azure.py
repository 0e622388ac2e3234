from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.localcloud.clouds.conftest import Served

SIZE = "Standard_D2s_v5"


class Group:
    """A resource group with a network, in a subscription of its own."""

    def __init__(self, served: Served, name: str) -> None:
        self.served = served
        alias = served.arm("PUT", f"/providers/Microsoft.Subscription/aliases/{name}", {"properties": {"billingScope": "/billing", "displayName": name}})
        self.subscription = f"/subscriptions/{alias.json()['properties']['subscriptionId']}"
        self.id = f"{self.subscription}/resourceGroups/{name}"
        self.network = f"{self.id}/providers/Microsoft.Network"
        served.arm("PUT", self.id, {"location": "westeurope"})
        self.put("virtualNetworks/net", {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}})
        served.arm("PUT", f"{self.network}/virtualNetworks/net/subnets/one", {"properties": {"addressPrefix": "10.0.1.0/24"}})
        subnet = {"id": f"{self.network}/virtualNetworks/net/subnets/one"}
        self.put("networkInterfaces/nic", {"ipConfigurations": [{"name": "main", "properties": {"subnet": subnet}}]})
        self.vm = f"{self.id}/providers/Microsoft.Compute/virtualMachines/{name}"

    def put(self, path: str, properties: dict[str, Any]) -> httpx.Response:
        return self.served.arm("PUT", f"{self.network}/{path}", {"location": "westeurope", "properties": properties})

    def spot_machine(self, **changed: Any) -> httpx.Response:
        data = base64.b64encode(b"#!/bin/sh\nsleep 1000\n").decode()
        properties = {
            "hardwareProfile": {"vmSize": SIZE},
            "priority": "Spot",
            "evictionPolicy": "Delete",
            "billingProfile": {"maxPrice": -1},
            "osProfile": {"computerName": "vm", "adminUsername": "spotlane", "customData": data},
            "storageProfile": {"imageReference": {"publisher": "Canonical"}, "osDisk": {"createOption": "FromImage", "deleteOption": "Delete"}},
            "networkProfile": {"networkInterfaces": [{"id": f"{self.network}/networkInterfaces/nic"}]},
        }
        return self.served.arm("PUT", self.vm, {"location": "westeurope", "properties": properties | changed})

    def finished(self, answer: httpx.Response) -> dict[str, Any]:
        """How the long-running operation of ``answer`` ended."""
        path = answer.headers["azure-asyncoperation"].removeprefix("https://management.azure.com").partition("?")[0]
        ended: dict[str, Any] = self.served.arm("GET", path).json()
        return ended


@pytest.fixture
def group(served: Served, request: pytest.FixtureRequest) -> Group:
    return Group(served, f"g{abs(hash(request.node.name)) % 10**8}")


def test_a_spot_machine_is_created_by_a_long_running_operation_and_never_shows_its_user_data(group: Group) -> None:
    answer = group.spot_machine()

    assert answer.status_code == 201
    assert answer.json()["properties"]["provisioningState"] == "Creating"
    assert group.finished(answer)["status"] == "Succeeded"
    shown = group.served.arm("GET", group.vm).json()
    assert shown["properties"]["provisioningState"] == "Succeeded"
    assert "customData" not in shown["properties"]["osProfile"]


def test_an_evicted_machine_is_deleted_with_its_disk_and_keeps_its_interface(group: Group) -> None:
    group.spot_machine()
    machine = group.served.machine(group.vm.rpartition("/")[2])

    group.served.control("POST", f"/hosts/{machine['id']}/interrupt", {"notice_seconds": 0.1})
    group.served.until(lambda: group.served.arm("GET", group.vm).status_code == 404)

    left = [one["type"] for one in group.served.arm("GET", f"{group.id}/resources").json()["value"]]
    assert left == ["Microsoft.Network/virtualNetworks", "Microsoft.Network/networkInterfaces"]


def test_without_capacity_the_operation_fails_and_the_machine_stays_as_failed(group: Group) -> None:
    outage = {"kind": "outage", "cloud": "azure", "region": "westeurope", "instance_type": SIZE, "duration_seconds": 2.0}
    group.served.control("POST", "/market/events", outage)

    answer = group.spot_machine()

    assert group.finished(answer)["error"]["code"] == "AllocationFailed"
    assert group.served.arm("GET", group.vm).json()["properties"]["provisioningState"] == "Failed"


def test_a_ceiling_below_the_market_is_refused_at_once(group: Group) -> None:
    answer = group.spot_machine(billingProfile={"maxPrice": 0.00001})

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "OperationNotAllowed")


def test_a_network_in_use_is_not_deleted(group: Group) -> None:
    answer = group.served.arm("DELETE", f"{group.network}/virtualNetworks/net")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InUseSubnetCannotBeDeleted")


def test_deleting_a_resource_group_deletes_what_is_inside(group: Group) -> None:
    group.spot_machine()

    assert group.served.arm("DELETE", group.id).status_code == 202

    left = group.served.arm("GET", f"{group.subscription}/resources").json()["value"]
    assert [one["name"] for one in left] == ["NetworkWatcher_westeurope"], "what Azure made by itself stays"
    group.served.until(lambda: group.vm not in [one["resource"] for one in group.served.control("GET", "/hosts")])


def test_an_unknown_region_is_refused_in_arms_own_words(group: Group) -> None:
    answer = group.served.arm("PUT", f"{group.subscription}/resourceGroups/far", {"location": "mars"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "LocationNotAvailableForResourceType")


def test_an_assigned_location_policy_refuses_other_regions(group: Group) -> None:
    definition = "/providers/Microsoft.Authorization/policyDefinitions/e765b5de-1225-4ba3-bd56-1ac6695af988"
    parameters = {"listOfAllowedLocations": {"value": ["westeurope"]}}
    assignment = {"properties": {"policyDefinitionId": definition, "parameters": parameters, "displayName": "EU"}}
    group.served.arm("PUT", f"{group.subscription}/providers/Microsoft.Authorization/policyAssignments/eu", assignment)

    refused = group.served.arm("PUT", f"{group.subscription}/resourceGroups/far", {"location": "eastus"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "RequestDisallowedByPolicy")
    assert group.served.arm("PUT", f"{group.subscription}/resourceGroups/near", {"location": "westeurope"}).status_code == 201


def test_an_interface_has_an_address_of_its_subnet_that_stays_and_that_no_other_has(group: Group) -> None:
    subnet = {"id": f"{group.network}/virtualNetworks/net/subnets/one"}
    configurations = [{"name": "main", "properties": {"subnet": subnet}}]

    def address(name: str) -> str:
        found = group.served.arm("GET", f"{group.network}/networkInterfaces/{name}").json()
        return str(found["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"])

    group.put("networkInterfaces/other", {"ipConfigurations": configurations})
    assert (address("nic"), address("other")) == ("10.0.1.4", "10.0.1.5")
    group.put("networkInterfaces/nic", {"ipConfigurations": configurations})
    assert address("nic") == "10.0.1.4"


def test_a_full_subnet_refuses_another_interface(group: Group) -> None:
    group.served.arm("PUT", f"{group.network}/virtualNetworks/net/subnets/small", {"properties": {"addressPrefix": "10.0.2.0/29"}})
    configurations = [{"name": "main", "properties": {"subnet": {"id": f"{group.network}/virtualNetworks/net/subnets/small"}}}]
    answers = [group.put(f"networkInterfaces/n{number}", {"ipConfigurations": configurations}) for number in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 400]
    assert answers[3].json()["error"]["code"] == "SubnetIsFull"


def test_the_first_network_of_a_region_brings_its_watcher_which_takes_flow_logs(group: Group) -> None:
    watcher = f"{group.subscription}/resourceGroups/NetworkWatcherRG/providers/Microsoft.Network/networkWatchers/NetworkWatcher_westeurope"
    assert group.served.arm("GET", watcher).status_code == 200
    log = {"targetResourceId": f"{group.network}/virtualNetworks/net", "storageId": f"{group.id}/store", "enabled": True}
    made = group.served.arm("PUT", f"{watcher}/flowLogs/mine", {"location": "westeurope", "properties": log})
    assert made.status_code == 201 and group.finished(made)["status"] == "Succeeded"


def test_a_budget_begins_on_the_first_of_a_month(group: Group) -> None:
    path = f"{group.subscription}/providers/Microsoft.Consumption/budgets/b"
    properties = {"amount": 5, "category": "Cost", "timeGrain": "Monthly", "timePeriod": {"startDate": "2026-11-02T00:00:00Z"}}
    assert group.served.arm("PUT", path, {"properties": properties}).status_code == 400
    properties["timePeriod"] = {"startDate": "2026-11-01T00:00:00Z"}
    assert group.served.arm("PUT", path, {"properties": properties}).status_code == 201


def test_a_key_of_a_vault_has_a_version_and_a_storage_accounts_name_is_checked(group: Group) -> None:
    vault = f"{group.id}/providers/Microsoft.KeyVault/vaults/v{group.id[-8:]}"
    group.served.arm("PUT", vault, {"location": "westeurope", "properties": {"tenantId": "t", "sku": {"family": "A", "name": "standard"}}})
    key = group.served.arm("PUT", f"{vault}/keys/disks", {"properties": {"kty": "RSA"}}).json()["properties"]
    assert key["keyUriWithVersion"].startswith(key["keyUri"] + "/")
    account = group.served.arm("PUT", f"{group.id}/providers/Microsoft.Storage/storageAccounts/Not-A-Name", {"location": "westeurope", "properties": {}})
    assert account.json()["error"]["code"] == "AccountNameInvalid"


def test_a_change_of_a_version_that_is_no_more_is_refused_and_each_change_is_a_version(group: Group) -> None:
    path, network = (
        f"{group.network}/virtualNetworks/versions",
        {"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}}},
    )
    group.served.arm("PUT", path, network, if_none_match="*")
    first = group.served.arm("GET", path).json()["etag"]

    assert group.served.arm("PATCH", path, {"tags": {"a": "1"}}, if_match=first).status_code == 200
    second = group.served.arm("GET", path).json()["etag"]
    refused = group.served.arm("PUT", path, network, if_match=first)

    assert second != first
    assert (refused.status_code, refused.json()["error"]["code"]) == (412, "PreconditionFailed")
    assert group.served.arm("PUT", path, network, if_none_match="*").status_code == 412
    assert group.served.arm("DELETE", path, if_match=first).status_code == 412
    assert group.served.arm("GET", path).json()["tags"] == {"a": "1"}
    assert group.served.arm("DELETE", path, if_match=second).status_code == 202
