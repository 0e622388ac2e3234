"""Which changes replace a resource. The SDKs don't say; these facts were taken from the providers' own sources.

- AWS, GCP, Cloudflare: ``ForceNew`` / ``RequiresReplace`` of the Terraform providers that Pulumi bridges (hashicorp/terraform-provider-aws v6,
  hashicorp/terraform-provider-google v7, cloudflare/terraform-provider-cloudflare v5).
- Azure: path parameters, and the properties that pulumi-azure-native marks ``forceNew``.

A rule names paths (``[]`` for any element). In the bridges a nested field replaces only where it is named itself; in azure-native everything below a named
property replaces.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.providers.diff import Change
from localcloud.providers.values import Unknown

Condition = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Rule:
    """``paths`` replace always; ``when`` maps an input to what must hold of (old inputs, new inputs) besides; ``identity`` names the physical object."""

    paths: frozenset[str]
    when: Mapping[str, Condition] = field(default_factory=dict)
    identity: tuple[str, ...] = ()
    estimated: bool = False


def _rule(paths: str, identity: str = "", /, **when: Condition) -> Rule:
    return Rule(frozenset(paths.split()), when, tuple(identity.split()))


def _subnet_shrinks(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    try:
        return not ipaddress.ip_network(str(old.get("ipCidrRange"))).subnet_of(ipaddress.ip_network(str(new.get("ipCidrRange"))))  # type: ignore[arg-type]  # both are IPv4 here
    except (ValueError, TypeError):
        return True


def _user_data_replaces(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return new.get("userDataReplaceOnChange") is True


def _architecture_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return _arm(old.get("instanceType")) != _arm(new.get("instanceType"))


def _arm(instance_type: Any) -> bool:
    """Graviton families carry a ``g`` after their generation (``m7g``, ``c6gn``); ``a1`` is the first."""
    return bool(re.match(r"^(a1|[a-z]+\d+g[a-z]*)\.", str(instance_type)))


def _tenancy_leaves_dedicated(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return not (old.get("instanceTenancy") == "dedicated" and new.get("instanceTenancy") in (None, "default"))


def _script_given(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return True


def _version_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """What runs was made of the old version."""
    was, wanted = ((one.get("launchTemplate") or {}).get("version") for one in (old, new))
    return was is not None and was != wanted


def _primary_ipv6_ends(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return bool(old.get("enablePrimaryIpv6")) and not new.get("enablePrimaryIpv6")


def _taken_away(name: str) -> Condition:
    """More addresses can be given in place; those that are there can't be swapped."""

    def condition(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        was, wanted = old.get(name) or [], new.get(name) or []
        return bool(was) and (was != wanted if isinstance(was, str) else bool(set(was) - set(wanted)))

    return condition


def _subnetwork_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return [one.get("subnetwork") for one in old.get("networkInterfaces") or []] != [one.get("subnetwork") for one in new.get("networkInterfaces") or []]


_INSTANCE = """ami associatePublicIpAddress availabilityZone ebsOptimized ephemeralBlockDevices hibernation hostId instanceMarketOptions keyName launchTemplate
placementGroup placementGroupId placementPartitionNumber privateDnsNameOptions privateIp securityGroups subnetId tenancy cpuOptions.amdSevSnp
ebsBlockDevices[].deleteOnTermination ebsBlockDevices[].deviceName ebsBlockDevices[].encrypted ebsBlockDevices[].iops ebsBlockDevices[].kmsKeyId
ebsBlockDevices[].snapshotId ebsBlockDevices[].throughput ebsBlockDevices[].volumeSize ebsBlockDevices[].volumeType enclaveOptions.enabled
instanceMarketOptions.marketType instanceMarketOptions.spotOptions instanceMarketOptions.spotOptions.instanceInterruptionBehavior
instanceMarketOptions.spotOptions.maxPrice instanceMarketOptions.spotOptions.spotInstanceType instanceMarketOptions.spotOptions.validUntil launchTemplate.id
launchTemplate.name networkInterfaces[].deleteOnTermination networkInterfaces[].deviceIndex networkInterfaces[].networkCardIndex
networkInterfaces[].networkInterfaceId primaryNetworkInterface.networkInterfaceId rootBlockDevice.encrypted rootBlockDevice.kmsKeyId
secondaryNetworkInterfaces[].deleteOnTermination secondaryNetworkInterfaces[].deviceIndex secondaryNetworkInterfaces[].interfaceType
secondaryNetworkInterfaces[].networkCardIndex secondaryNetworkInterfaces[].privateIpAddressCount secondaryNetworkInterfaces[].secondarySubnetId"""
_INSTANCE_SOMETIMES: dict[str, Condition] = {
    "userData": _user_data_replaces,
    "userDataBase64": _user_data_replaces,
    "instanceType": _architecture_changes,
    "launchTemplate.version": _version_changes,
    "enablePrimaryIpv6": _primary_ipv6_ends,
    "ipv6Addresses": _taken_away("ipv6Addresses"),
}

_GCP_INSTANCE = """bootDisk confidentialInstanceConfig eraseWindowsVssSignature guestAccelerators hostname instanceEncryptionKey keyRevocationActionType name
networkInterfaces networkInterfaces[] networkPerformanceConfig params project reservationAffinity scratchDisks scratchDisks[] zone bootDisk.deviceName
bootDisk.guestOsFeatures bootDisk.initializeParams bootDisk.initializeParams.architecture bootDisk.initializeParams.image
bootDisk.initializeParams.provisionedIops bootDisk.initializeParams.provisionedThroughput bootDisk.initializeParams.resourcePolicies
bootDisk.initializeParams.snapshot bootDisk.initializeParams.storagePool bootDisk.initializeParams.type bootDisk.kmsKeySelfLink
bootDisk.mode bootDisk.source networkInterfaces[].networkAttachment networkInterfaces[].nicType networkInterfaces[].queueCount networkInterfaces[].vlan
scheduling.maxRunDuration scheduling.maxRunDuration.seconds scheduling.onInstanceStopAction scheduling.preemptible scheduling.provisioningModel
scheduling.terminationTime scratchDisks[].size guestAccelerators[].count guestAccelerators[].type
advancedMachineFeatures.enableUefiNetworking attachedDisks[].forceAttach bootDisk.diskEncryptionKeyRaw bootDisk.diskEncryptionKeyRsa
bootDisk.diskEncryptionServiceAccount bootDisk.forceAttach bootDisk.initializeParams.enableConfidentialCompute bootDisk.initializeParams.replicaZones
bootDisk.initializeParams.resourceManagerTags bootDisk.initializeParams.sourceImageEncryptionKey.kmsKeySelfLink
bootDisk.initializeParams.sourceImageEncryptionKey.kmsKeyServiceAccount bootDisk.initializeParams.sourceImageEncryptionKey.rawKey
bootDisk.initializeParams.sourceImageEncryptionKey.rsaEncryptedKey bootDisk.initializeParams.sourceSnapshotEncryptionKey.kmsKeySelfLink
bootDisk.initializeParams.sourceSnapshotEncryptionKey.kmsKeyServiceAccount bootDisk.initializeParams.sourceSnapshotEncryptionKey.rawKey
bootDisk.initializeParams.sourceSnapshotEncryptionKey.rsaEncryptedKey instanceEncryptionKey.kmsKeySelfLink instanceEncryptionKey.kmsKeyServiceAccount
networkInterfaces[].ipv6AccessConfigs[].externalIpv6 networkInterfaces[].ipv6AccessConfigs[].externalIpv6PrefixLength
networkInterfaces[].ipv6AccessConfigs[].name networkPerformanceConfig.totalEgressBandwidthTier reservationAffinity.specificReservation
reservationAffinity.specificReservation.key reservationAffinity.specificReservation.values reservationAffinity.type scheduling.localSsdRecoveryTimeout
scheduling.localSsdRecoveryTimeout.nanos scheduling.localSsdRecoveryTimeout.seconds scheduling.maxRunDuration.nanos
scheduling.onInstanceStopAction.discardLocalSsd workloadIdentityConfig.identity workloadIdentityConfig.identityCertificateEnabled"""
_CONDITION = "condition condition.description condition.expression condition.title"

RULES: dict[str, Rule] = {
    "aws:iam/policy:Policy": _rule("description name namePrefix path", "name path"),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _rule("url", "url"),
    "aws:budgets/budget:Budget": _rule("accountId name namePrefix", "name"),
    "aws:kms/key:Key": _rule("customKeyStoreId customerMasterKeySpec keyUsage multiRegion xksKeyId region"),
    "aws:cloudwatch/logGroup:LogGroup": _rule("logGroupClass name namePrefix region", "name"),
    "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults": _rule("region", "region"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _rule("vpcId region", "vpcId"),
    "aws:organizations/account:Account": _rule("email iamUserAccessToBilling roleName"),
    "aws:organizations/policy:Policy": _rule("type", "name"),
    "aws:organizations/policyAttachment:PolicyAttachment": _rule("policyId targetId", "policyId targetId"),
    "aws:iam/role:Role": _rule("name namePrefix path", "name"),
    "aws:iam/rolePolicy:RolePolicy": _rule("name namePrefix role", "role name"),
    "aws:iam/instanceProfile:InstanceProfile": _rule("name namePrefix path", "name"),
    "aws:ebs/encryptionByDefault:EncryptionByDefault": _rule(""),
    "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock": _rule("accountId", "accountId"),
    "aws:ec2/vpc:Vpc": _rule("cidrBlock ipv4IpamPoolId ipv4NetmaskLength", instanceTenancy=_tenancy_leaves_dedicated),
    "aws:ec2/subnet:Subnet": _rule(
        "availabilityZone availabilityZoneId cidrBlock ipv4IpamPoolId ipv4NetmaskLength ipv6IpamPoolId ipv6Native ipv6NetmaskLength outpostArn vpcId",
        ipv6CidrBlock=_taken_away("ipv6CidrBlock"),
    ),
    "aws:ec2/internetGateway:InternetGateway": _rule(""),
    "aws:ec2/eip:Eip": _rule("address domain ipamPoolId networkBorderGroup publicIpv4Pool"),
    "aws:ec2/natGateway:NatGateway": _rule("allocationId connectivityType privateIp subnetId availabilityMode vpcId"),
    "aws:ec2/routeTable:RouteTable": _rule("vpcId"),
    "aws:ec2/route:Route": _rule(
        "destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId routeTableId",
        "routeTableId destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId",
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _rule("subnetId gatewayId", "subnetId gatewayId"),
    "aws:ec2/securityGroup:SecurityGroup": _rule("description name namePrefix vpcId", "vpcId name"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("securityGroupId"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("securityGroupId"),
    "aws:ec2/launchTemplate:LaunchTemplate": _rule("name namePrefix", "name"),
    "aws:ec2/instance:Instance": _rule(_INSTANCE, **_INSTANCE_SOMETIMES),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _rule("serviceName serviceRegion vpcEndpointType vpcId serviceNetworkArn resourceConfigurationArn"),
    "aws:ec2/flowLog:FlowLog": _rule(
        "deliverCrossAccountRole destinationOptions eniId iamRoleArn logDestination logDestinationType logFormat maxAggregationInterval subnetId trafficType "
        "transitGatewayAttachmentId transitGatewayId vpcId"
    ),
    "azure-native:subscription:Alias": _rule("aliasName", "aliasName"),
    "azure-native:authorization:PolicyAssignment": _rule("policyAssignmentName scope", "scope policyAssignmentName"),
    "azure-native:authorization:PolicyDefinition": _rule("policyDefinitionName", "policyDefinitionName"),
    "azure-native:authorization:RoleDefinition": _rule("roleDefinitionId scope", "scope roleDefinitionId"),
    "azure-native:authorization:RoleAssignment": _rule("principalId roleAssignmentName scope", "scope roleAssignmentName"),
    "azure-native:consumption:Budget": _rule("budgetName scope", "scope budgetName"),
    "azure-native:keyvault:Vault": _rule("location resourceGroupName vaultName", "resourceGroupName vaultName"),
    "azure-native:keyvault:Key": _rule("keyName properties resourceGroupName vaultName", "resourceGroupName vaultName keyName"),
    "azure-native:compute:DiskEncryptionSet": _rule("diskEncryptionSetName location resourceGroupName", "resourceGroupName diskEncryptionSetName"),
    "azure-native:storage:StorageAccount": _rule("accountName isHnsEnabled location resourceGroupName", "resourceGroupName accountName"),
    "azure-native:network:FlowLog": _rule("flowLogName networkWatcherName resourceGroupName", "resourceGroupName networkWatcherName flowLogName"),
    "azure-native:resources:ResourceGroup": _rule("location resourceGroupName", "resourceGroupName"),
    "azure-native:network:VirtualNetwork": _rule("location resourceGroupName virtualNetworkName", "resourceGroupName virtualNetworkName"),
    "azure-native:network:Subnet": _rule("resourceGroupName subnetName virtualNetworkName", "resourceGroupName virtualNetworkName subnetName"),
    "azure-native:network:NetworkSecurityGroup": _rule("networkSecurityGroupName resourceGroupName", "resourceGroupName networkSecurityGroupName"),
    "azure-native:network:PublicIPAddress": _rule(
        "location publicIPAddressVersion publicIPPrefix publicIpAddressName resourceGroupName sku", "resourceGroupName publicIpAddressName"
    ),
    "azure-native:network:NatGateway": _rule("natGatewayName resourceGroupName", "resourceGroupName natGatewayName"),
    "azure-native:network:NetworkInterface": _rule("networkInterfaceName resourceGroupName", "resourceGroupName networkInterfaceName"),
    "azure-native:managedidentity:UserAssignedIdentity": _rule("location resourceGroupName resourceName", "resourceGroupName resourceName"),
    "azure-native:compute:VirtualMachine": _rule("location resourceGroupName vmName", "resourceGroupName vmName"),
    "gcp:organizations/project:Project": _rule("projectId tags", "projectId"),
    "gcp:projects/service:Service": _rule("project service", "project service"),
    "gcp:projects/iAMMember:IAMMember": _rule(f"{_CONDITION} member project role", "project role member"),
    "gcp:projects/iAMCustomRole:IAMCustomRole": _rule("project roleId", "project roleId"),
    "gcp:projects/defaultServiceAccounts:DefaultServiceAccounts": _rule("action project", "project"),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": _rule("project workloadIdentityPoolId", "project workloadIdentityPoolId"),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": _rule(
        "project workloadIdentityPoolId workloadIdentityPoolProviderId", "project workloadIdentityPoolId workloadIdentityPoolProviderId"
    ),
    "gcp:serviceaccount/iAMMember:IAMMember": _rule(f"{_CONDITION} member role serviceAccountId", "serviceAccountId role member"),
    "gcp:billing/budget:Budget": _rule("billingAccount"),
    "gcp:monitoring/notificationChannel:NotificationChannel": _rule("project"),
    "gcp:kms/keyRing:KeyRing": _rule("location name project", "project location name"),
    "gcp:kms/cryptoKey:CryptoKey": _rule(
        "cryptoKeyBackend destroyScheduledDuration importOnly keyRing name purpose versionTemplate.protectionLevel", "keyRing name"
    ),
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": _rule(f"{_CONDITION} cryptoKeyId member role", "cryptoKeyId role member"),
    "gcp:orgpolicy/policy:Policy": _rule("name parent", "parent name"),
    "gcp:serviceaccount/account:Account": _rule("accountId project", "project accountId"),
    "gcp:compute/network:Network": _rule(
        "autoCreateSubnetworks description internalIpv6Range name networkProfile params params.resourceManagerTags project", "project name"
    ),
    "gcp:compute/subnetwork:Subnetwork": _rule(
        "description externalIpv6Prefix internalIpv6Prefix name network params params.resourceManagerTags project region reservedInternalRange "
        "resolveSubnetMask",
        "project region name",
        ipCidrRange=_subnet_shrinks,
    ),
    "gcp:compute/firewall:Firewall": _rule("direction name params project", "project name"),
    "gcp:compute/router:Router": _rule(
        "encryptedInterconnectRouter name nccGateway network params params.resourceManagerTags project region", "project region name"
    ),
    "gcp:compute/routerNat:RouterNat": _rule("endpointTypes initialNatIps name project region router type", "project region router name"),
    "gcp:compute/instance:Instance": _rule(
        _GCP_INSTANCE, "project zone name", metadataStartupScript=_script_given, **{"networkInterfaces[].networkIp": _subnetwork_changes}
    ),
    "cloudflare:index/workersScript:WorkersScript": _rule("accountId scriptName", "accountId scriptName"),
    "cloudflare:index/workersCronTrigger:WorkersCronTrigger": _rule("accountId scriptName", "accountId scriptName"),
    "cloudflare:index/workersRoute:WorkersRoute": _rule("zoneId"),
    "cloudflare:index/workersCustomDomain:WorkersCustomDomain": _rule("accountId hostname service environment zoneId zoneName", "accountId hostname"),
    "cloudflare:index/workersKvNamespace:WorkersKvNamespace": _rule("accountId"),
    "cloudflare:index/workersKv:WorkersKv": _rule("accountId keyName namespaceId", "accountId namespaceId keyName"),
    "cloudflare:index/d1Database:D1Database": _rule("accountId jurisdiction name primaryLocationHint", "accountId name"),
    "cloudflare:index/r2Bucket:R2Bucket": _rule("accountId name location", "accountId name jurisdiction"),
    "cloudflare:index/queue:Queue": _rule("accountId"),
    "cloudflare:index/workflow:Workflow": _rule("accountId workflowName", "accountId workflowName"),
    "cloudflare:index/dnsRecord:DnsRecord": _rule("type zoneId"),
    "cloudflare:index/spectrumApplication:SpectrumApplication": _rule("zoneId"),
    "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared": _rule("accountId configSrc"),
    "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig": _rule("accountId tunnelId", "accountId tunnelId"),
}

_ESTIMATE = Rule(
    frozenset(
        {
            *("name", "namePrefix", "region", "location", "zone", "project", "resourceGroupName", "accountId", "zoneId", "vpcId", "subnetId", "cidrBlock"),
            *("availabilityZone", "ami", "path", "scope", "network", "subnetwork", "keyName", "parent"),
        }
    ),
    estimated=True,
)
"""For types that nothing here was learnt about: what names or places a resource replaces it. An estimate, not the provider's word."""


@dataclass(frozen=True)
class Verdict:
    """``replaces`` are the paths that force a replacement; ``delete_first`` when two could not stand at once; ``estimated`` where no fact is known."""

    replaces: tuple[str, ...]
    delete_first: bool
    estimated: bool


def rule(token: str) -> Rule:
    """The rule of a type; a labelled estimate for those outside this product."""
    return RULES.get(token, _ESTIMATE)


def decide(token: str, changes: list[Change], old: Mapping[str, Any], new: Mapping[str, Any]) -> Verdict:
    """Which of ``changes`` (between old and new inputs of a resource of type ``token``) replace it."""
    known = rule(token)
    below = token.startswith("azure-native:")
    replaces = tuple(change.path for change in changes if _matches(known, change, below, old, new))
    moved = token.startswith("aws:") and any(change.path == "region" for change in changes) and "region" not in replaces
    if moved:
        replaces += ("region",)
    named = any(new.get(name) is not None for name in known.identity)
    stays = named and all(_known_equal(old.get(name), new.get(name)) for name in known.identity)
    return Verdict(replaces, bool(replaces) and stays and not moved, known.estimated)


def _matches(known: Rule, change: Change, below: bool, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    path = re.sub(r"\[\d+\]", "[]", change.path)
    forms = {path, path.removesuffix("[]")} if not below else {path, change.top}
    if forms & known.paths:
        return True
    condition = known.when.get(path) or known.when.get(change.top)
    return condition is not None and condition(old, new)


def _known_equal(one: Any, other: Any) -> bool:
    return not isinstance(one, Unknown) and not isinstance(other, Unknown) and one == other
