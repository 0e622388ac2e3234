"""The ``aws`` package: which handler serves which type."""

from __future__ import annotations

from localcloud.providers.aws import (
    account,
    budgets,
    default_group,
    endpoints,
    identity,
    instances,
    keys,
    logs,
    network,
    organizations,
    policies,
    routing,
    security,
)
from localcloud.providers.aws.functions import FUNCTIONS
from localcloud.providers.aws.resource import AwsHandler
from localcloud.providers.aws.session import AwsSession, Clients
from localcloud.providers.faults import Unsupported
from localcloud.providers.ports import Handler, ProviderSettings
from localcloud.providers.values import Props

HANDLERS: dict[str, type[AwsHandler]] = {
    "aws:organizations/account:Account": organizations.Account,
    "aws:organizations/policy:Policy": organizations.Policy,
    "aws:organizations/policyAttachment:PolicyAttachment": organizations.PolicyAttachment,
    "aws:iam/role:Role": identity.Role,
    "aws:iam/rolePolicy:RolePolicy": identity.RolePolicy,
    "aws:iam/instanceProfile:InstanceProfile": identity.InstanceProfile,
    "aws:iam/policy:Policy": policies.Policy,
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": policies.OpenIdConnectProvider,
    "aws:budgets/budget:Budget": budgets.Budget,
    "aws:kms/key:Key": keys.Key,
    "aws:cloudwatch/logGroup:LogGroup": logs.LogGroup,
    "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults": account.InstanceMetadataDefaults,
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": default_group.DefaultSecurityGroup,
    "aws:ebs/encryptionByDefault:EncryptionByDefault": account.EncryptionByDefault,
    "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock": account.AccountPublicAccessBlock,
    "aws:ec2/vpc:Vpc": network.Vpc,
    "aws:ec2/subnet:Subnet": network.Subnet,
    "aws:ec2/internetGateway:InternetGateway": network.InternetGateway,
    "aws:ec2/eip:Eip": network.Eip,
    "aws:ec2/natGateway:NatGateway": network.NatGateway,
    "aws:ec2/routeTable:RouteTable": routing.RouteTable,
    "aws:ec2/route:Route": routing.Route,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": routing.RouteTableAssociation,
    "aws:ec2/securityGroup:SecurityGroup": security.SecurityGroup,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": security.SecurityGroupEgressRule,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": security.SecurityGroupIngressRule,
    "aws:ec2/launchTemplate:LaunchTemplate": instances.LaunchTemplate,
    "aws:ec2/instance:Instance": instances.Instance,
    "aws:ec2/vpcEndpoint:VpcEndpoint": endpoints.VpcEndpoint,
    "aws:ec2/flowLog:FlowLog": endpoints.FlowLog,
}


class AwsConnection:
    """One configuration of the provider."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def prepare(self, token: str, inputs: Props) -> Props:
        """``defaultTags`` joins the resource's own tags, which win (the real provider does it in Check, too)."""
        kind = HANDLERS.get(token)
        if kind is None or not kind.TAGGED or not self._session.default_tags:
            return inputs
        own = inputs.get("tags") or {}
        return {**inputs, "tags": {**self._session.default_tags, **own}} if isinstance(own, dict) else inputs

    def places(self, token: str, inputs: Props) -> Props:
        """The effective region of a regional resource."""
        kind = HANDLERS.get(token)
        return {"region": self._session.region_of(inputs)} if kind is not None and kind.REGIONAL else {}

    def handler(self, token: str) -> Handler | None:
        """The handler of a type."""
        kind = HANDLERS.get(token)
        return None if kind is None else kind(self._session)

    def invoke(self, token: str, arguments: Props) -> Props:
        """A function's result."""
        function = FUNCTIONS.get(token)
        if function is None:
            raise Unsupported(f"{token}: the local cloud doesn't have this function; of aws it has {', '.join(sorted(FUNCTIONS))}")
        return function(self._session, arguments)


class AwsPackage:
    """Makes connections."""

    package = "aws"
    types = frozenset(HANDLERS)

    def __init__(self, settings: ProviderSettings) -> None:
        self._clients = Clients(settings)

    def connect(self, config: Props) -> AwsConnection:
        """A connection with a provider's config."""
        return AwsConnection(AwsSession(self._clients, config))
