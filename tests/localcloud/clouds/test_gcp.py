from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.localcloud.clouds.conftest import Served

ZONE = "europe-west1-b"


class Project:
    """A project with Compute Engine enabled, a network and a subnetwork."""

    def __init__(self, served: Served, project: str) -> None:
        self.served = served
        self.id = project
        served.google("cloudresourcemanager", "POST", "/v3/projects", {"projectId": project, "displayName": project})
        served.google("serviceusage", "POST", f"/v1/projects/{project}/services/compute.googleapis.com:enable", {})
        self.compute("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
        subnetwork = {"name": "one", "network": "global/networks/net", "ipCidrRange": "10.0.0.0/24"}
        self.compute("POST", "regions/europe-west1/subnetworks", subnetwork)

    def compute(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.served.google("compute", method, f"/compute/v1/projects/{self.id}/{path}", body)

    def spot_instance(self, name: str, zone: str = ZONE) -> httpx.Response:
        body = {
            "name": name,
            "machineType": f"zones/{zone}/machineTypes/n2-standard-2",
            "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts"}}],
            "networkInterfaces": [{"subnetwork": f"projects/{self.id}/regions/europe-west1/subnetworks/one"}],
            "scheduling": {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE", "automaticRestart": False},
            "metadata": {"items": [{"key": "user-data", "value": "#!/bin/sh\nsleep 1000\n"}]},
        }
        return self.compute("POST", f"zones/{zone}/instances", body)

    def finished(self, answer: httpx.Response) -> dict[str, Any]:
        """How the operation of ``answer`` ended."""
        ended: dict[str, Any] = self.served.google("compute", "POST", answer.json()["selfLink"].partition(".com")[2] + "/wait").json()
        return ended


@pytest.fixture
def project(served: Served, request: pytest.FixtureRequest) -> Project:
    return Project(served, f"p-{abs(hash(request.node.name)) % 10**8:08d}")


def test_an_insert_is_an_operation_that_ends_with_a_running_instance(project: Project) -> None:
    answer = project.spot_instance("runs")

    assert answer.json()["status"] == "RUNNING"
    ended = project.finished(answer)
    assert (ended["status"], ended.get("error")) == ("DONE", None)
    assert project.compute("GET", f"zones/{ZONE}/instances/runs").json()["status"] == "RUNNING"


def test_a_preempted_instance_is_deleted_with_its_disk(project: Project) -> None:
    project.spot_instance("preempted")
    machine = project.served.machine("preempted")

    project.served.control("POST", f"/hosts/{machine['id']}/interrupt", {"notice_seconds": 0.1})

    project.served.until(lambda: project.compute("GET", f"zones/{ZONE}/instances/preempted").status_code == 404)
    assert project.compute("GET", f"zones/{ZONE}/disks").json()["items"] == []


def test_a_zone_without_capacity_fails_the_operation_and_leaves_nothing(project: Project) -> None:
    outage = {"kind": "outage", "cloud": "gcp", "region": "europe-west1", "zone": "europe-west1-c", "duration_seconds": 3600.0}
    project.served.control("POST", "/market/events", outage)

    ended = project.finished(project.spot_instance("nowhere", "europe-west1-c"))

    assert ended["error"]["errors"][0]["code"] == "ZONE_RESOURCE_POOL_EXHAUSTED"
    assert project.compute("GET", "zones/europe-west1-c/instances/nowhere").status_code == 404


def test_the_location_policy_of_a_project_is_enforced(project: Project) -> None:
    policy = {"name": f"projects/{project.id}/policies/gcp.resourceLocations", "spec": {"rules": [{"values": {"allowedValues": ["in:eu-locations"]}}]}}
    project.served.google("orgpolicy", "POST", f"/v2/projects/{project.id}/policies", policy)
    subnetwork = {"name": "out", "network": "global/networks/net", "ipCidrRange": "10.9.0.0/24"}

    answer = project.compute("POST", "regions/us-central1/subnetworks", subnetwork)

    assert (answer.status_code, answer.json()["error"]["status"]) == (412, "FAILED_PRECONDITION")
    assert project.compute("POST", "regions/europe-west4/subnetworks", subnetwork).status_code == 200


def test_a_new_project_has_the_default_network_until_it_is_taken_away(project: Project) -> None:
    network = project.compute("GET", "global/networks/default").json()
    rules = project.compute("GET", f"global/firewalls?filter=network eq {network['selfLink']}").json()["items"]
    assert sorted(rule["name"] for rule in rules) == ["default-allow-icmp", "default-allow-internal", "default-allow-rdp", "default-allow-ssh"]
    assert project.compute("DELETE", "global/networks/default").json()["error"]["errors"][0]["reason"] == "resourceInUseByAnotherResource"

    for rule in rules:
        project.compute("DELETE", f"global/firewalls/{rule['name']}")
    project.compute("DELETE", "global/networks/default")
    project.served.google("serviceusage", "POST", f"/v1/projects/{project.id}/services/compute.googleapis.com:disable", {})
    project.served.google("serviceusage", "POST", f"/v1/projects/{project.id}/services/compute.googleapis.com:enable", {})

    assert project.compute("GET", "global/networks/default").status_code == 404


def test_a_network_in_use_is_not_deleted(project: Project) -> None:
    answer = project.compute("DELETE", "global/networks/net")

    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "resourceInUseByAnotherResource")


def test_a_stale_policy_is_refused(project: Project) -> None:
    path = f"/v1/projects/{project.id}"
    read = project.served.google("cloudresourcemanager", "POST", f"{path}:getIamPolicy", {}).json()
    changed = {"policy": {**read, "bindings": [{"role": "roles/viewer", "members": ["user:a@example.com"]}]}}
    assert project.served.google("cloudresourcemanager", "POST", f"{path}:setIamPolicy", changed).status_code == 200

    stale = project.served.google("cloudresourcemanager", "POST", f"{path}:setIamPolicy", changed)

    assert (stale.status_code, stale.json()["error"]["status"]) == (409, "ABORTED")
