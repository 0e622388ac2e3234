"""Stack ``edge``: the platform's edge on Cloudflare."""

from __future__ import annotations

import pulumi

from components.edge import blueprint
from components.edge.blueprint import BlueprintFault, EdgeNotBuilt
from components.edge.platform import EdgePlatform, EdgePlatformArgs
from stacks.settings import EdgeSettings, StackName


def declare(name: StackName, settings: EdgeSettings) -> None:
    """Declares the edge and exports its addresses and ids. An edge that isn't built ends the run with one message, before anything is declared."""
    try:
        plan = blueprint.load()
    except (EdgeNotBuilt, BlueprintFault) as error:
        raise pulumi.RunError(str(error)) from None
    platform = EdgePlatform(
        name.kind,
        EdgePlatformArgs(
            account_id=settings.account_id,
            zone=settings.zone,
            zone_id=settings.zone_id,
            automation_url=settings.automation_url,
            platform_key_sha256=settings.platform_key_sha256,
            blueprint=plan,
            protect_data=settings.protect_data,
            origin_certificate_id=settings.origin_certificate_id,
        ),
    )
    pulumi.export("zone", settings.zone)
    pulumi.export("apiUrl", f"https://api.{settings.zone}/v1")
    pulumi.export("consoleUrl", f"https://console.{settings.zone}")
    pulumi.export("issuer", f"https://auth.{settings.zone}")
    pulumi.export("databaseIds", {store: one.id for store, one in platform.storage.d1.items()})
    pulumi.export("kvIds", {store: one.id for store, one in platform.storage.kv.items()})
    pulumi.export("buckets", {store: one.name for store, one in platform.storage.r2.items()})
    pulumi.export("scripts", {script: worker.script_name for script, worker in platform.workers.items()})
