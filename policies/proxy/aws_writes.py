"""Which writes of AWS's services are judged here, beside S3's, which are told apart by what they name.

A write that isn't listed is refused: nobody here knows what it makes. So nothing that launches machines by another service than EC2, makes calls of its own in
the caller's name, runs commands on machines, hands out keys without an end, or sends data where no parameter says. Names: AWS's service models.
"""

from __future__ import annotations

from collections.abc import Mapping

from policies.proxy.request import Refused

_TAGS = "TagResource UntagResource"
_WRITES: Mapping[str, frozenset[str]] = {
    service: frozenset(names.split())
    for service, names in {
        "account": "EnableRegion DisableRegion PutAlternateContact PutContactInformation",
        # Groups are made of templates or configurations, by rules of their own: theirs are machines that nobody judged.
        "autoscaling": "CompleteLifecycleAction RecordLifecycleActionHeartbeat SetInstanceHealth SetInstanceProtection SuspendProcesses ResumeProcesses",
        "budgets": f"CreateBudget UpdateBudget CreateNotification UpdateNotification CreateSubscriber UpdateSubscriber {_TAGS}",
        "ce": f"CreateAnomalyMonitor CreateAnomalySubscription UpdateAnomalyMonitor UpdateAnomalySubscription {_TAGS}",
        "dynamodb": f"""
            BatchExecuteStatement BatchWriteItem CreateBackup CreateGlobalTable CreateTable ExecuteStatement ExecuteTransaction PutItem
            RestoreTableFromBackup RestoreTableToPointInTime TransactGetItems TransactWriteItems UpdateContinuousBackups UpdateContributorInsights
            UpdateGlobalTable UpdateGlobalTableSettings UpdateItem UpdateTable UpdateTableReplicaAutoScaling UpdateTimeToLive {_TAGS}
        """,
        "ec2": """
            AcceptVpcPeeringConnection AllocateAddress AssignIpv6Addresses AssignPrivateIpAddresses AssociateAddress AssociateDhcpOptions
            AssociateIamInstanceProfile AssociateRouteTable AssociateSubnetCidrBlock AssociateVpcCidrBlock AttachInternetGateway AttachNetworkInterface
            AttachVolume AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CopyImage CopySnapshot CreateDhcpOptions
            CreateEgressOnlyInternetGateway CreateFleet CreateFlowLogs CreateImage CreateInternetGateway CreateKeyPair CreateLaunchTemplate
            CreateLaunchTemplateVersion CreateNatGateway CreateNetworkAcl CreateNetworkAclEntry CreateNetworkInterface CreatePlacementGroup CreateRoute
            CreateRouteTable CreateSecurityGroup CreateSnapshot CreateSubnet CreateTags CreateVolume CreateVpc CreateVpcEndpoint
            CreateVpcPeeringConnection DisableEbsEncryptionByDefault EnableEbsEncryptionByDefault ImportKeyPair ModifyEbsDefaultKmsKeyId
            ModifyInstanceAttribute ModifyInstanceCreditSpecification ModifyInstanceMetadataDefaults ModifyInstanceMetadataOptions ModifyLaunchTemplate
            ModifyNetworkInterfaceAttribute ModifySecurityGroupRules ModifySubnetAttribute ModifyVolume ModifyVpcAttribute ModifyVpcEndpoint
            ModifyVpcTenancy RebootInstances ReplaceNetworkAclAssociation ReplaceNetworkAclEntry ReplaceRoute ReplaceRouteTableAssociation
            RequestSpotInstances RunInstances StartInstances StopInstances UpdateSecurityGroupRuleDescriptionsEgress
            UpdateSecurityGroupRuleDescriptionsIngress
        """,
        # No users, access keys or passwords: nothing that is good for ever.
        "iam": """
            AddClientIDToOpenIDConnectProvider AddRoleToInstanceProfile AttachRolePolicy CreateAccountAlias CreateInstanceProfile CreateOpenIDConnectProvider
            CreatePolicy CreatePolicyVersion CreateRole CreateServiceLinkedRole PutRolePermissionsBoundary PutRolePolicy SetDefaultPolicyVersion
            TagInstanceProfile TagOpenIDConnectProvider TagPolicy TagRole UntagInstanceProfile UntagOpenIDConnectProvider UntagPolicy UntagRole
            UpdateAccountPasswordPolicy UpdateAssumeRolePolicy UpdateOpenIDConnectProviderThumbprint UpdateRole UpdateRoleDescription
        """,
        "kms": f"""
            CreateAlias CreateGrant CreateKey Decrypt DisableKey DisableKeyRotation EnableKey EnableKeyRotation Encrypt GenerateDataKey GenerateDataKeyPair
            GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext GenerateMac GenerateRandom PutKeyPolicy ReEncrypt ReplicateKey RetireGrant
            RotateKeyOnDemand ScheduleKeyDeletion Sign UpdateAlias UpdateKeyDescription UpdatePrimaryRegion Verify VerifyMac {_TAGS}
        """,
        "logs": f"""
            AssociateKmsKey CreateLogGroup CreateLogStream PutLogEvents PutMetricFilter PutQueryDefinition PutRetentionPolicy PutSubscriptionFilter StartQuery
            StopQuery TagLogGroup TestMetricFilter UntagLogGroup {_TAGS}
        """,
        "monitoring": f"""
            DisableAlarmActions EnableAlarmActions PutAnomalyDetector PutCompositeAlarm PutDashboard PutMetricAlarm PutMetricData SetAlarmState {_TAGS}
        """,
        "organizations": f"""
            AttachPolicy CreateAccount CreateOrganizationalUnit CreatePolicy EnablePolicyType MoveAccount UpdateOrganizationalUnit UpdatePolicy {_TAGS}
        """,
        "secretsmanager": f"""
            CreateSecret PutSecretValue ReplicateSecretToRegions RestoreSecret RotateSecret StopReplicationToReplica UpdateSecret
            UpdateSecretVersionStage {_TAGS}
        """,
        "servicequotas": f"RequestServiceQuotaIncrease {_TAGS}",
        "ssm": "AddTagsToResource LabelParameterVersion PutParameter UnlabelParameterVersion",
        "sts": "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity DecodeAuthorizationMessage",
    }.items()
}
_ACLS = frozenset({"private", "bucket-owner-full-control"})
_GIVING = ("x-amz-grant-", "x-amz-website-redirect-location")


def check_write(service: str, action: str) -> None:
    """Raises :class:`Refused` for a write that isn't judged here."""
    listed = _WRITES.get(service)
    if listed is not None and action not in listed:
        raise Refused("request", f"{service}:{action} is not among the writes that are judged here")


def check_delete(service: str, action: str) -> None:
    """Raises :class:`Refused` for what takes an account out of reach of the policies that guard it."""
    if (service, action) == ("organizations", "LeaveOrganization"):
        raise Refused("request", "an account doesn't leave its organisation: the organisation's policies guard it")


def check_s3_headers(headers: Mapping[str, str]) -> None:
    """Raises :class:`Refused` for a write to S3 whose headers give to others what it writes."""
    acl = headers.get("x-amz-acl", "private")
    if acl not in _ACLS:
        raise Refused("request", f"a write to S3 with the ACL {acl!r} gives it to others")
    if giving := sorted(name for name in headers if name.startswith(_GIVING)):
        raise Refused("request", f"a write to S3 with {', '.join(giving)} is not judged here")
