"""ARM's errors: ``{"error": {"code", "message"}}`` with the HTTP status that Azure uses for the code.

Source: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors and the Compute and Network error code pages.
"""

from __future__ import annotations

from localcloud.clouds.exchange import HttpAnswer, json_answer


class ArmError(Exception):
    """A refusal in ARM's words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")

    def answer(self) -> HttpAnswer:
        """As ARM writes it."""
        headers = {"x-ms-failure-cause": "gateway"} if self.status in (400, 404) else {}
        return json_answer(self.status, {"error": {"code": self.code, "message": self.message}}, headers)


def resource_not_found(resource_id: str, group: str) -> ArmError:
    """A resource that isn't there; ``resource_id`` is named by type and name, as ARM does."""
    parts = resource_id.split("/providers/")[-1].split("/")
    label = parts[0] + "/" + "/".join(parts[1::2]) + "/" + "/".join(parts[2::2])
    where = f" under resource group '{group}'" if group else ""
    return ArmError(
        404, "ResourceNotFound", f"The Resource '{label}'{where} was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )


def group_not_found(group: str) -> ArmError:
    """No such resource group."""
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def subscription_not_found(subscription: str) -> ArmError:
    """No such subscription."""
    return ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
