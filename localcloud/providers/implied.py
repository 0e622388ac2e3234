"""Inputs that a program may leave out though the resource has a value: the provider's defaults, and what the cloud chooses ("optional and computed").

Leaving one out is no change, as in the real providers: the bridges write their defaults into the inputs, and keep a computed value that nothing asks to change.
Defaults and computed attributes are those of the Terraform providers' schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.providers.diff import Change, same


@dataclass(frozen=True)
class Implied:
    """``defaults`` stand for an input that is left out; ``computed`` are inputs whose value then stays what it is."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()


def _implied(computed: str = "", **defaults: Any) -> Implied:
    return Implied(defaults, frozenset(computed.split()))


_GROUP_RULES = "ingress egress"

IMPLIED: dict[str, Implied] = {
    "aws:ec2/vpc:Vpc": _implied("enableDnsHostnames cidrBlock", instanceTenancy="default", enableDnsSupport=True),
    "aws:ec2/subnet:Subnet": _implied("availabilityZone availabilityZoneId privateDnsHostnameTypeOnLaunch", mapPublicIpOnLaunch=False),
    "aws:ec2/internetGateway:InternetGateway": _implied("vpcId"),
    "aws:ec2/eip:Eip": _implied("domain networkBorderGroup publicIpv4Pool"),
    "aws:ec2/natGateway:NatGateway": _implied("privateIp allocationId", connectivityType="public"),
    "aws:ec2/routeTable:RouteTable": _implied("routes propagatingVgws"),
    "aws:ec2/securityGroup:SecurityGroup": _implied(f"name namePrefix vpcId {_GROUP_RULES}", description="Managed by Pulumi", revokeRulesOnDelete=False),
    "aws:ec2/launchTemplate:LaunchTemplate": _implied("name namePrefix defaultVersion metadataOptions"),
    "aws:ec2/instance:Instance": _implied(
        """ami availabilityZone disableApiStop disableApiTermination ebsBlockDevices ebsOptimized iamInstanceProfile instanceInitiatedShutdownBehavior
        instanceMarketOptions instanceType keyName metadataOptions monitoring privateIp rootBlockDevice securityGroups subnetId tenancy userData userDataBase64
        vpcSecurityGroupIds placementGroup""",
        sourceDestCheck=True,
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _implied("policy privateDnsEnabled routeTableIds securityGroupIds subnetIds", vpcEndpointType="Gateway"),
    "aws:ec2/flowLog:FlowLog": _implied("logDestination logFormat", maxAggregationInterval=600, logDestinationType="cloud-watch-logs"),
    "aws:iam/role:Role": _implied("name namePrefix inlinePolicies managedPolicyArns", path="/", maxSessionDuration=3600, forceDetachPolicies=False),
    "aws:iam/rolePolicy:RolePolicy": _implied("name namePrefix"),
    "aws:iam/instanceProfile:InstanceProfile": _implied("name namePrefix", path="/"),
    "aws:iam/policy:Policy": _implied("name namePrefix", path="/"),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _implied("thumbprintLists"),
    "aws:budgets/budget:Budget": _implied(
        "accountId name namePrefix limitAmount limitUnit timePeriodStart costFilters autoAdjustData", timePeriodEnd="2087-06-15_00:00"
    ),
    "aws:kms/key:Key": _implied(
        "description policy multiRegion rotationPeriodInDays deletionWindowInDays",
        enableKeyRotation=False,
        isEnabled=True,
        keyUsage="ENCRYPT_DECRYPT",
        customerMasterKeySpec="SYMMETRIC_DEFAULT",
        bypassPolicyLockoutSafetyCheck=False,
    ),
    "aws:cloudwatch/logGroup:LogGroup": _implied("name namePrefix logGroupClass", retentionInDays=0, skipDestroy=False, kmsKeyId=""),
    "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults": _implied(
        "", httpEndpoint="no-preference", httpTokens="no-preference", httpPutResponseHopLimit=-1, instanceMetadataTags="no-preference"
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _implied("vpcId ingress egress", revokeRulesOnDelete=False),
    "aws:organizations/account:Account": _implied("parentId", closeOnDeletion=False),
    "aws:organizations/policy:Policy": _implied("", type="SERVICE_CONTROL_POLICY"),
    "aws:ebs/encryptionByDefault:EncryptionByDefault": _implied("", enabled=True),
    "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock": _implied(
        "accountId", blockPublicAcls=False, blockPublicPolicy=False, ignorePublicAcls=False, restrictPublicBuckets=False
    ),
    "gcp:organizations/project:Project": _implied("billingAccount folderId orgId", autoCreateNetwork=True, deletionPolicy="PREVENT"),
    "gcp:serviceaccount/account:Account": _implied("", disabled=False),
    "gcp:projects/iAMCustomRole:IAMCustomRole": _implied("", stage="GA"),
    "gcp:projects/defaultServiceAccounts:DefaultServiceAccounts": _implied("", restorePolicy="REVERT"),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": _implied("mode"),
    "gcp:billing/budget:Budget": _implied("ownershipScope budgetFilter"),
    "gcp:monitoring/notificationChannel:NotificationChannel": _implied("", enabled=True, forceDelete=False),
    "gcp:kms/cryptoKey:CryptoKey": _implied(
        "cryptoKeyBackend destroyScheduledDuration importOnly keyAccessJustificationsPolicy versionTemplate", purpose="ENCRYPT_DECRYPT"
    ),
    "gcp:compute/network:Network": _implied("routingMode mtu", autoCreateSubnetworks=True, networkFirewallPolicyEnforcementOrder="AFTER_CLASSIC_FIREWALL"),
    "gcp:compute/subnetwork:Subnetwork": _implied("privateIpGoogleAccess privateIpv6GoogleAccess purpose secondaryIpRanges stackType ipCidrRange"),
    "gcp:compute/firewall:Firewall": _implied("direction destinationRanges sourceRanges", priority=1000, disabled=False),
    "gcp:compute/routerNat:RouterNat": _implied(
        "drainNatIps endpointTypes autoNetworkTier enableDynamicPortAllocation enableEndpointIndependentMapping minPortsPerVm maxPortsPerVm",
        type="PUBLIC",
        icmpIdleTimeoutSec=30,
        tcpEstablishedIdleTimeoutSec=1200,
        tcpTimeWaitTimeoutSec=120,
        tcpTransitoryIdleTimeoutSec=30,
        udpIdleTimeoutSec=30,
    ),
    "gcp:compute/instance:Instance": _implied(
        "minCpuPlatform scheduling serviceAccount shieldedInstanceConfig metadata", canIpForward=False, deletionProtection=False
    ),
    "cloudflare:index/d1Database:D1Database": _implied("primaryLocationHint readReplication jurisdiction"),
    "cloudflare:index/r2Bucket:R2Bucket": _implied("location", jurisdiction="default", storageClass="Standard"),
    "cloudflare:index/queue:Queue": _implied("settings"),
    "cloudflare:index/workflow:Workflow": _implied("limits"),
    "cloudflare:index/dnsRecord:DnsRecord": _implied("settings tags", proxied=False),
    "cloudflare:index/workersCustomDomain:WorkersCustomDomain": _implied("environment zoneId zoneName"),
    "cloudflare:index/workersScript:WorkersScript": _implied("compatibilityDate compatibilityFlags observability usageModel placement limits logpush"),
    "cloudflare:index/spectrumApplication:SpectrumApplication": _implied(
        "edgeIps originPort originDirects originDns", argoSmartRouting=False, ipFirewall=False, proxyProtocol="off", tls="off", trafficType="direct"
    ),
    "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared": _implied("configSrc tunnelSecret"),
    "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig": _implied("source"),
}


def meant(token: str, changes: list[Change], old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """``changes`` without those that leave a default or a computed value as it is."""
    rule = IMPLIED.get(token, Implied())

    def stands(change: Change) -> bool:
        name = change.top
        if new.get(name) is None and name in rule.computed:
            return True
        default = rule.defaults.get(name)
        return default is not None and same(old.get(name, default), new.get(name, default))

    return [change for change in changes if not stands(change)]
