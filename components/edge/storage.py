"""Where the edge keeps its data: KV namespaces, D1 databases and R2 buckets, each named once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi
import pulumi_cloudflare as cloudflare


@dataclass
class EdgeStorageArgs:
    """The stores to make, by name."""

    account_id: pulumi.Input[str]
    """Cloudflare account."""
    kv: list[str] = field(default_factory=list)
    """KV namespaces."""
    d1: list[str] = field(default_factory=list)
    """D1 databases."""
    r2: list[str] = field(default_factory=list)
    """R2 buckets."""
    protect: bool = False
    """Whether a destroy refuses to delete D1 and R2 (``pulumi state unprotect`` lifts it). KV holds copies only."""


class EdgeStorage(pulumi.ComponentResource):
    """The edge's stores.

    Names in Cloudflare are ``<component>-<store>``, so that two edges can live in one account::

        storage = EdgeStorage("edge", EdgeStorageArgs(account_id=account, d1=["spotlane"]))
        storage.d1["spotlane"].id
    """

    kv: dict[str, cloudflare.WorkersKvNamespace]
    """KV namespaces by store name."""
    d1: dict[str, cloudflare.D1Database]
    """Databases by store name."""
    r2: dict[str, cloudflare.R2Bucket]
    """Buckets by store name."""

    def __init__(self, name: str, args: EdgeStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:edge:EdgeStorage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=args.protect or None)
        self.kv = {
            store: cloudflare.WorkersKvNamespace(f"{name}-kv-{store}", account_id=args.account_id, title=f"{name}-{store}", opts=child) for store in args.kv
        }
        self.d1 = {store: cloudflare.D1Database(f"{name}-d1-{store}", account_id=args.account_id, name=f"{name}-{store}", opts=kept) for store in args.d1}
        self.r2 = {store: cloudflare.R2Bucket(f"{name}-r2-{store}", account_id=args.account_id, name=f"{name}-{store}", opts=kept) for store in args.r2}
        self.register_outputs(
            {
                "kvIds": {store: one.id for store, one in self.kv.items()},
                "d1Ids": {store: one.id for store, one in self.d1.items()},
                "r2Names": {store: one.name for store, one in self.r2.items()},
            }
        )
