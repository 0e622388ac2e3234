"""What the platform's own identity needs above the tenants' accounts: to make, fence and enter them. Ready policies, without a wildcard action.

The identity is a role of the organisation's management account (AWS), an application at the management group (Azure), a service account at the folder
(Google) and an API token (Cloudflare). The three clouds' need no long-lived key: docs/real-clouds.md.
"""

from __future__ import annotations

from typing import Any

from components.tenant.aws import AUTOMATION_ROLE, ORGANIZATION_ROLE
from components.tenant.aws_permissions import automation_policy
from components.tenant.azure_permissions import AUTOMATION_ACTIONS

Document = dict[str, Any]

_ORGANIZATION = """
organizations:AttachPolicy organizations:CloseAccount organizations:CreateAccount organizations:CreatePolicy organizations:DeletePolicy
organizations:DescribeAccount organizations:DescribeCreateAccountStatus organizations:DescribeOrganization organizations:DescribeOrganizationalUnit
organizations:DescribePolicy
organizations:DetachPolicy organizations:ListParents organizations:ListPoliciesForTarget organizations:ListRoots organizations:ListTagsForResource
organizations:ListTargetsForPolicy organizations:MoveAccount organizations:TagResource organizations:UntagResource organizations:UpdatePolicy
"""
_BUDGETS = "budgets:ListTagsForResource budgets:ModifyBudget budgets:TagResource budgets:UntagResource budgets:ViewBudget"
_PRICES = """
ec2:DescribeAvailabilityZones ec2:DescribeInstanceTypeOfferings ec2:DescribeInstanceTypes ec2:DescribeRegions ec2:DescribeSpotPriceHistory
ec2:GetSpotPlacementScores pricing:GetProducts sts:GetCallerIdentity
"""

AZURE_ACTIONS = """
Microsoft.Authorization/policyAssignments/delete Microsoft.Authorization/policyAssignments/read Microsoft.Authorization/policyAssignments/write
Microsoft.Authorization/policyDefinitions/read Microsoft.Authorization/roleAssignments/delete Microsoft.Authorization/roleAssignments/read
Microsoft.Authorization/roleAssignments/write Microsoft.Authorization/roleDefinitions/delete Microsoft.Authorization/roleDefinitions/read
Microsoft.Authorization/roleDefinitions/write Microsoft.Consumption/budgets/delete Microsoft.Consumption/budgets/read Microsoft.Consumption/budgets/write
Microsoft.Management/managementGroups/read Microsoft.Management/managementGroups/subscriptions/write Microsoft.Resources/subscriptions/read
Microsoft.Subscription/aliases/delete Microsoft.Subscription/aliases/read Microsoft.Subscription/aliases/write Microsoft.Subscription/cancel/action
"""
"""At the management group; making subscriptions asks for the billing role "Azure subscription creator" on the invoice section besides."""

EVICTIONS = "Microsoft.ResourceGraph/resources/read"
"""For the feed of eviction rates (SpotResources); the inline proxy lets no other query pass."""
PLACEMENT_SCORES = "Microsoft.Compute/locations/placementScores/generate/action"
"""For the feed of placement scores, as the built-in Compute Recommendations Role has it; needed on the platform's own subscription alone."""

GCP_ROLES = (
    "roles/resourcemanager.projectCreator",
    "roles/resourcemanager.projectDeleter",
    "roles/resourcemanager.projectIamAdmin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.roleAdmin",
    "roles/iam.workloadIdentityPoolAdmin",
    "roles/iam.serviceAccountTokenCreator",
    "roles/monitoring.notificationChannelEditor",
)
"""On the folder; :func:`gcp` names those that are given elsewhere."""

CLOUDFLARE = {
    "account": ["Account Settings Read", "Cloudflare Tunnel Edit", "D1 Edit", "Workers KV Storage Edit", "Workers R2 Storage Edit", "Workers Scripts Edit"],
    "zone": ["DNS Edit", "Workers Routes Edit", "Zone Read", "Zone Settings Edit (Spectrum)"],
}
"""Permission groups of the API token, by what they are for."""


def aws() -> Document:
    """The policy of the platform's role in the management account."""
    entered = [f"arn:aws:iam::*:role/{role}" for role in (ORGANIZATION_ROLE, AUTOMATION_ROLE)]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Accounts", "Effect": "Allow", "Action": sorted(_ORGANIZATION.split()), "Resource": "*"},
            {"Sid": "Budgets", "Effect": "Allow", "Action": sorted(_BUDGETS.split()), "Resource": "*"},
            {"Sid": "Prices", "Effect": "Allow", "Action": sorted(_PRICES.split()), "Resource": "*"},
            {"Sid": "EntersTenants", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": entered},
        ],
    }


def azure(management_group: str = "MANAGEMENT_GROUP") -> Document:
    """The custom role of the platform's application, as ``az role definition create --role-definition`` takes it."""
    return {
        "Name": "spotlane-platform",
        "Description": "Makes, fences and enters tenants' subscriptions",
        "Actions": sorted({*AZURE_ACTIONS.split(), *AUTOMATION_ACTIONS, EVICTIONS, PLACEMENT_SCORES}),
        "NotActions": [],
        "AssignableScopes": [f"/providers/Microsoft.Management/managementGroups/{management_group}"],
    }


def gcp() -> Document:
    """Roles by where they are given."""
    return {
        "folder": list(GCP_ROLES),
        "organization": ["roles/orgpolicy.policyAdmin"],
        "billingAccount": ["roles/billing.user", "roles/billing.costsManager"],
        "pricesProject": ["roles/compute.viewer"],
    }


def cloudflare() -> Document:
    """Permission groups of the API token."""
    return {key: list(value) for key, value in CLOUDFLARE.items()}


def tenants_role(account: str = "ACCOUNT") -> Document:
    """For review: what the platform may do inside a tenant's AWS account."""
    return automation_policy(account)
