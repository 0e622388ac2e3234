"""Azure's built-in location policies: whether an assignment forbids a resource or group where it is asked for.

Source: https://learn.microsoft.com/azure/governance/policy/samples/built-in-policies#general (e56962a6…: resources; e765b5de…: resource groups). Assignments of
other definitions are kept, not applied.
"""

from __future__ import annotations

from localcloud.clouds.azure.errors import ArmError
from localcloud.clouds.documents import Documents

ASSIGNMENT = "Microsoft.Authorization/policyAssignments"
RESOURCES = "e56962a6-4747-49cd-b67b-bf8b01975c4c"
GROUPS = "e765b5de-1225-4ba3-bd56-1ac6695af988"


def check_location(documents: Documents, resource_id: str, location: str, definition: str) -> None:
    """Refuses ``location`` if an assignment of ``definition`` above the resource leaves it out. Raises :class:`ArmError`."""
    for assignment in documents.of(ASSIGNMENT):
        properties = assignment.body["properties"]
        scope = assignment.key.partition(f"/providers/{ASSIGNMENT}")[0]
        applies = resource_id.lower().startswith(scope.lower() + "/") and properties.get("enforcementMode") == "Default"
        if not applies or not properties.get("policyDefinitionId", "").endswith(definition):
            continue
        allowed = properties.get("parameters", {}).get("listOfAllowedLocations", {}).get("value", [])
        if location not in [one.replace(" ", "").lower() for one in allowed] and location != "global":
            name = resource_id.rpartition("/")[2]
            label = properties.get("displayName") or assignment.key.rpartition("/")[2]
            raise ArmError(403, "RequestDisallowedByPolicy", f"Resource '{name}' was disallowed by policy. Policy identifiers: '{label}' ({assignment.key}).")
