"""Flow logs of a virtual network, in a storage account of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import network, storage

KEPT_DAYS = 90
WATCHERS = "NetworkWatcherRG"
"""Azure makes this group, and in it the one watcher that a region can have, with a subscription's first network there."""


@dataclass(frozen=True)
class FlowLogArgs:
    """Arguments of :class:`FlowLog`."""

    resource_group_name: pulumi.Input[str]
    location: str
    subscription_id: pulumi.Input[str]
    network_id: pulumi.Input[str]
    tags: Mapping[str, str] = field(default_factory=dict)


class FlowLog(pulumi.ComponentResource):
    """Every flow of the network, kept 90 days, in an account that nothing but Azure's own services reaches.

    Example::

        FlowLog("flow-log", FlowLogArgs(group, "westeurope", subscription, network.network_id))
    """

    account_id: pulumi.Output[str]

    def __init__(self, name: str, args: FlowLogArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:azure:FlowLog", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = storage.StorageAccount(
            f"{name}-store",
            account_name=pulumi.Output.from_input(args.subscription_id).apply(lambda subscription: account_name(subscription, args.location)),
            resource_group_name=args.resource_group_name,
            location=args.location,
            kind="StorageV2",
            sku=storage.SkuArgs(name="Standard_LRS"),
            minimum_tls_version="TLS1_2",
            enable_https_traffic_only=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            network_rule_set=storage.NetworkRuleSetArgs(bypass="AzureServices", default_action="Deny"),
            tags=dict(args.tags),
            opts=child,
        )
        network.FlowLog(
            f"{name}-log",
            resource_group_name=WATCHERS,
            network_watcher_name=f"NetworkWatcher_{args.location}",
            flow_log_name=f"spotlane-{args.location}",
            location=args.location,
            target_resource_id=args.network_id,
            storage_id=account.id,
            enabled=True,
            format=network.FlowLogFormatParametersArgs(type="JSON", version=2),
            retention_policy=network.RetentionPolicyParametersArgs(days=KEPT_DAYS, enabled=True),
            tags=dict(args.tags),
            opts=child,
        )
        self.account_id = account.id
        self.register_outputs({"account_id": self.account_id})


def account_name(subscription: str, location: str) -> str:
    """Unique in the world, 3 to 24 small letters and digits: told from the subscription and the location."""
    return "slflows" + hashlib.sha256(f"{subscription}/{location}".encode()).hexdigest()[:16]
