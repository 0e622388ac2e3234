"""The whole edge: its stores and every Worker of the blueprint, in the order in which they can refer to each other."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.edge.blueprint import Blueprint
from components.edge.storage import EdgeStorage, EdgeStorageArgs
from components.edge.worker import EdgeWorker, EdgeWorkerArgs


@dataclass
class EdgePlatformArgs:
    """Where the edge stands and what it must know."""

    account_id: pulumi.Input[str]
    """Cloudflare account."""
    zone: str
    """Zone of the public addresses."""
    zone_id: pulumi.Input[str]
    """Its id."""
    automation_url: pulumi.Input[str]
    """Where the Workflow reaches the automation service."""
    platform_key_sha256: pulumi.Input[str]
    """SHA-256 (hex) of the platform's first API key."""
    blueprint: Blueprint
    """What is deployed."""
    protect_data: bool = False
    """Whether a destroy refuses to delete D1 and R2."""
    origin_certificate_id: pulumi.Input[str] | None = None
    """mTLS certificate (Cloudflare's id) that the edge shows to origins; None: origins are asked without one."""


class EdgePlatform(pulumi.ComponentResource):
    """Spotlane's edge on one Cloudflare zone.

    ::

        EdgePlatform("edge", EdgePlatformArgs(account_id=..., zone="example.com", zone_id=..., automation_url=..., platform_key_sha256=..., blueprint=load()))
    """

    storage: EdgeStorage
    """The stores."""
    workers: dict[str, EdgeWorker]
    """The Workers by script name."""

    def __init__(self, name: str, args: EdgePlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:edge:EdgePlatform", name, None, opts)
        blueprint = args.blueprint
        self.storage = EdgeStorage(
            name,
            EdgeStorageArgs(
                account_id=args.account_id, kv=blueprint.stores("kv"), d1=blueprint.stores("d1"), r2=blueprint.stores("r2"), protect=args.protect_data
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.workers = {}
        for plan in blueprint.scripts:
            self.workers[plan.name] = EdgeWorker(
                f"{name}-{plan.name}",
                EdgeWorkerArgs(
                    account_id=args.account_id,
                    zone=args.zone,
                    zone_id=args.zone_id,
                    plan=plan,
                    storage=self.storage,
                    compatibility_date=blueprint.compatibility_date,
                    compatibility_flags=blueprint.compatibility_flags,
                    variables={"ZONE": args.zone, "AUTOMATION_URL": args.automation_url},
                    secrets={"PLATFORM_KEY_SHA256": args.platform_key_sha256},
                    origin_certificate_id=args.origin_certificate_id,
                ),
                pulumi.ResourceOptions(parent=self, depends_on=[self.workers[other] for other in sorted(plan.depends_on)]),
            )
        self.register_outputs({"scripts": {script: worker.script_name for script, worker in self.workers.items()}})
