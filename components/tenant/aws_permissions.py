"""What the automation role may do in a tenant's AWS account, and what nobody but it may: tables of IAM actions, without a wildcard action.

The actions are those that the AWS provider calls for the resources of the region and placement stacks (Service Authorization Reference for their names and
condition keys). What destroys, takes only what carries our tag; roles can't be given more than the workloads' permissions boundary allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from components.aws.identity import ROLE_PATH
from domain.orphans import MANAGED_BY

Document = dict[str, Any]

WORKLOAD_BOUNDARY = "spotlane-workload-boundary"
_TAGGED = {"StringEquals": {"aws:ResourceTag/managed-by": MANAGED_BY}}

READS = """
ec2:DescribeAccountAttributes ec2:DescribeAddresses ec2:DescribeAddressesAttribute ec2:DescribeAvailabilityZones ec2:DescribeFleetInstances ec2:DescribeFleets
ec2:DescribeFlowLogs ec2:DescribeImages ec2:DescribeInstanceAttribute ec2:DescribeInstanceCreditSpecifications ec2:DescribeInstanceTypes ec2:DescribeInstances
ec2:DescribeInternetGateways ec2:DescribeLaunchTemplateVersions ec2:DescribeLaunchTemplates ec2:DescribeNatGateways ec2:DescribeNetworkAcls
ec2:DescribeNetworkInterfaces ec2:DescribePrefixLists ec2:DescribeRouteTables ec2:DescribeSecurityGroupRules ec2:DescribeSecurityGroups
ec2:DescribeSpotInstanceRequests ec2:DescribeSubnets ec2:DescribeTags ec2:DescribeVolumes ec2:DescribeVpcAttribute ec2:DescribeVpcEndpoints ec2:DescribeVpcs
ec2:GetEbsEncryptionByDefault ec2:GetInstanceMetadataDefaults logs:DescribeLogGroups servicequotas:GetServiceQuota sts:GetCallerIdentity tag:GetResources
"""
MAKES = """
ec2:AllocateAddress ec2:AssociateRouteTable ec2:AttachInternetGateway ec2:AuthorizeSecurityGroupEgress ec2:AuthorizeSecurityGroupIngress ec2:CreateFleet
ec2:CreateFlowLogs
ec2:CreateInternetGateway ec2:CreateLaunchTemplate ec2:CreateLaunchTemplateVersion ec2:CreateNatGateway ec2:CreateRoute ec2:CreateRouteTable
ec2:CreateSecurityGroup ec2:CreateSubnet ec2:CreateTags ec2:CreateVpc ec2:CreateVpcEndpoint ec2:RunInstances
"""
DEFAULTS = "ec2:EnableEbsEncryptionByDefault ec2:ModifyInstanceMetadataDefaults s3:GetAccountPublicAccessBlock s3:PutAccountPublicAccessBlock"
"""The account's own guard rails: they are switched on, never off."""
CHANGES = """
ec2:CancelSpotInstanceRequests ec2:DeleteFleets ec2:DeleteFlowLogs ec2:DeleteInternetGateway ec2:DeleteLaunchTemplate ec2:DeleteNatGateway
ec2:DeleteNetworkInterface ec2:DeleteRoute ec2:DeleteVolume
ec2:DeleteRouteTable ec2:DeleteSecurityGroup ec2:DeleteSubnet ec2:DeleteTags ec2:DeleteVpc ec2:DeleteVpcEndpoints ec2:DetachInternetGateway
ec2:DisassociateAddress ec2:DisassociateRouteTable ec2:ModifyInstanceAttribute ec2:ModifyLaunchTemplate ec2:ModifySecurityGroupRules
ec2:ModifySubnetAttribute ec2:ModifyVpcAttribute ec2:ModifyVpcEndpoint ec2:ReleaseAddress ec2:ReplaceRoute ec2:RevokeSecurityGroupEgress
ec2:RevokeSecurityGroupIngress ec2:TerminateInstances
"""
ROLES = """
iam:AddRoleToInstanceProfile iam:CreateInstanceProfile iam:DeleteInstanceProfile iam:DeleteRole iam:DeleteRolePolicy iam:GetInstanceProfile iam:GetRole
iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListInstanceProfilesForRole iam:ListRolePolicies iam:ListRoleTags iam:RemoveRoleFromInstanceProfile
iam:TagInstanceProfile iam:TagRole iam:UntagInstanceProfile iam:UntagRole iam:UpdateAssumeRolePolicy iam:UpdateRole
"""
BOUNDED = "iam:CreateRole iam:PutRolePermissionsBoundary iam:PutRolePolicy"
"""Only for roles that carry the workloads' permissions boundary."""
LOGS = "logs:CreateLogGroup logs:DeleteLogGroup logs:ListTagsForResource logs:PutRetentionPolicy logs:TagResource logs:UntagResource"
KEYS = """
kms:CreateGrant kms:DescribeKey kms:EnableKeyRotation kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags kms:PutKeyPolicy kms:ScheduleKeyDeletion
kms:TagResource kms:UntagResource kms:UpdateKeyDescription
"""
DATA_SERVICES = """
cloudwatch:PutMetricData dynamodb:* events:PutEvents kinesis:* logs:CreateLogStream logs:DescribeLogStreams logs:PutLogEvents rds-db:connect s3:*
secretsmanager:DescribeSecret secretsmanager:GetSecretValue sns:Publish sqs:* ssm:GetParameter ssm:GetParameters ssm:GetParametersByPath sts:GetCallerIdentity
xray:PutTelemetryRecords xray:PutTraceSegments
"""
IMAGES = "arn:aws:ssm:*::parameter/aws/service/*"
"""Public parameters: images by name."""


def automation_policy(account: str) -> Document:
    """The automation role's inline policy in ``account``. IAM counts at most 10,240 characters of inline policies a role (white space aside)."""
    roles = [f"arn:aws:iam::{account}:role{ROLE_PATH}*", f"arn:aws:iam::{account}:instance-profile{ROLE_PATH}*"]
    services = {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "vpc-flow-logs.amazonaws.com"]}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("Reads", READS),
            _allow("Makes", f"{MAKES} {DEFAULTS}"),
            _allow("ChangesOurs", CHANGES, condition=_TAGGED),
            _allow("Images", "ssm:GetParameters", [IMAGES]),
            _allow("Roles", ROLES, roles),
            _allow("BoundedRoles", BOUNDED, roles[:1], {"StringEquals": {"iam:PermissionsBoundary": boundary_arn(account)}}),
            _allow("PassesRoles", "iam:PassRole", roles[:1], services),
            _allow("SpotServiceRole", "iam:CreateServiceLinkedRole", condition={"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}}),
            _allow("FlowLogGroups", LOGS, [f"arn:aws:logs:*:{account}:log-group:/spotlane/*"]),
            _allow("MakesKeys", "kms:CreateKey", condition={"StringEquals": {"aws:RequestTag/managed-by": MANAGED_BY}}),
            _allow("OurKeys", KEYS, [f"arn:aws:kms:*:{account}:key/*"], _TAGGED),
            # Which of a machine's disks may be opened when it starts.
            _allow("DiskKeys", "kms:GenerateDataKeyWithoutPlaintext kms:ReEncryptFrom kms:ReEncryptTo", [f"arn:aws:kms:*:{account}:key/*"], _TAGGED),
        ],
    }


def workload_boundary(account: str) -> Document:
    """The most that a workload's role can have, whatever is added to it: the services that keep and move data. Nothing of identities, machines, networks,
    the organisation or billing."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("DataServices", DATA_SERVICES),
            _allow("OwnAccountsKeys", "kms:Decrypt kms:Encrypt kms:GenerateDataKey", [f"arn:aws:kms:*:{account}:key/*"]),
        ],
    }


def boundary_arn(account: str) -> str:
    """The workloads' permissions boundary in ``account``."""
    return f"arn:aws:iam::{account}:policy{ROLE_PATH}{WORKLOAD_BOUNDARY}"


def guard_rails(account: str, automation_role: str) -> Document:
    """The service control policy beside the boundary's: nobody in the account leaves the organisation or switches the guard rails off; only the automation role
    and the organisation's own touch what guards them."""
    own = [f"arn:aws:iam::{account}:role/{automation_role}", f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"]
    others = {"ArnNotLike": {"aws:PrincipalArn": own}}
    guarded = [f"arn:aws:iam::{account}:role/{automation_role}", boundary_arn(account)]
    return {
        "Version": "2012-10-17",
        "Statement": [
            _deny("Leaving", "organizations:LeaveOrganization"),
            _deny("EncryptionOff", "ec2:DisableEbsEncryptionByDefault"),
            _deny("DefaultsOf", "ec2:ModifyInstanceMetadataDefaults s3:PutAccountPublicAccessBlock", condition=others),
            _deny("FlowLogsOff", "ec2:DeleteFlowLogs logs:DeleteLogGroup", condition=others),
            _deny(
                "PlatformRoles",
                "iam:AttachRolePolicy iam:CreatePolicyVersion iam:DeletePolicy iam:DeleteRole iam:DeleteRolePermissionsBoundary iam:DeleteRolePolicy "
                "iam:DetachRolePolicy iam:PutRolePermissionsBoundary iam:PutRolePolicy iam:SetDefaultPolicyVersion iam:UpdateAssumeRolePolicy",
                guarded,
                others,
            ),
        ],
    }


def _allow(sid: str, actions: str, resources: Iterable[str] = ("*",), condition: Document | None = None) -> Document:
    return _statement("Allow", sid, actions, resources, condition)


def _deny(sid: str, actions: str, resources: Iterable[str] = ("*",), condition: Document | None = None) -> Document:
    return _statement("Deny", sid, actions, resources, condition)


def _statement(effect: str, sid: str, actions: str, resources: Iterable[str], condition: Document | None) -> Document:
    where = list(resources)
    statement: Document = {"Sid": sid, "Effect": effect, "Action": sorted(actions.split()), "Resource": where if len(where) > 1 else where[0]}
    return statement | ({"Condition": condition} if condition else {})
