"""One Worker: its script with bindings and Durable Object classes, its cron triggers, and the hosts it answers on."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi
import pulumi_cloudflare as cloudflare

from components.edge.blueprint import Migration, ScriptPlan
from components.edge.storage import EdgeStorage

PLACEHOLDER_ADDRESS = "100::"
"""Content of the proxied record of a host that only a Worker answers: the discard prefix, as Cloudflare's documentation on routes advises."""


@dataclass
class EdgeWorkerArgs:
    """A script's plan with what its bindings lead to."""

    account_id: pulumi.Input[str]
    """Cloudflare account."""
    zone: str
    """Name of the zone in which the script's routes lie."""
    zone_id: pulumi.Input[str]
    """Its id."""
    plan: ScriptPlan
    """What the script is and binds."""
    storage: EdgeStorage
    """The stores that ``plan`` names."""
    compatibility_date: str
    """Of the Workers runtime, YYYY-MM-DD."""
    compatibility_flags: tuple[str, ...] = ()
    """Of the Workers runtime."""
    variables: dict[str, pulumi.Input[str]] = field(default_factory=dict)
    """Values of ``plan.variables``."""
    secrets: dict[str, pulumi.Input[str]] = field(default_factory=dict)
    """Values of ``plan.secrets``; write-only at Cloudflare, encrypted in the state."""
    origin_certificate_id: pulumi.Input[str] | None = None
    """Of the mTLS certificate for ``plan.origin_tls``; None leaves that binding out."""


def bindings_of(args: EdgeWorkerArgs) -> list[cloudflare.WorkersScriptBindingArgs]:
    """The script's bindings in a stable order. Raises KeyError for a variable, secret or store without a value."""
    plan, storage = args.plan, args.storage
    binding = cloudflare.WorkersScriptBindingArgs
    return [
        *(
            binding(name=use.binding, type="durable_object_namespace", class_name=use.class_name, script_name=None if use.script == plan.name else use.script)
            for use in plan.durable_objects
        ),
        *(binding(name=use.binding, type="service", service=use.script, entrypoint=use.entrypoint) for use in plan.services),
        *(binding(name=use.binding, type="workflow", workflow_name=use.name, class_name=use.class_name, script_name=use.script) for use in plan.workflows),
        *(binding(name=name, type="kv_namespace", namespace_id=storage.kv[store].id) for name, store in plan.kv.items()),
        *(binding(name=name, type="d1", database_id=storage.d1[store].id) for name, store in plan.d1.items()),
        *(binding(name=name, type="r2_bucket", bucket_name=storage.r2[store].name) for name, store in plan.r2.items()),
        *(binding(name=name, type="plain_text", text=args.variables[name]) for name in plan.variables),
        *(binding(name=name, type="secret_text", text=pulumi.Output.secret(args.secrets[name])) for name in plan.secrets),
        *([binding(name=plan.assets.binding, type="assets")] if plan.assets else []),
        *(
            [binding(name=plan.origin_tls, type="mtls_certificate", certificate_id=args.origin_certificate_id)]
            if plan.origin_tls and args.origin_certificate_id is not None
            else []
        ),
    ]


def migrations_of(migrations: tuple[Migration, ...]) -> cloudflare.WorkersScriptMigrationsArgs | None:
    """All migrations as one upload's: a script at the newest tag keeps its classes, a new one gets them all."""
    if not migrations:
        return None
    newest = migrations[-1].tag
    if len(migrations) == 1:
        return cloudflare.WorkersScriptMigrationsArgs(new_tag=newest, new_sqlite_classes=list(migrations[0].new_sqlite_classes))
    steps = [cloudflare.WorkersScriptMigrationsStepArgs(new_sqlite_classes=list(one.new_sqlite_classes)) for one in migrations]
    return cloudflare.WorkersScriptMigrationsArgs(new_tag=newest, steps=steps)


def hosts_of(routes: tuple[str, ...], zone: str) -> list[str]:
    """Hosts that need a DNS record for ``routes`` (patterns with ``{zone}``), in order, each once."""
    return list(dict.fromkeys(route.format(zone=zone).split("/", 1)[0] for route in routes))


def slug(host: str, zone: str) -> str:
    """Part of a resource's name for ``host``: ``*.workloads.<zone>`` gives ``any-workloads``."""
    return host.removesuffix(f".{zone}").replace("*", "any").replace(".", "-")


class EdgeWorker(pulumi.ComponentResource):
    """A deployed Worker.

    ``depends_on`` of ``opts`` names the Workers that it binds; Cloudflare refuses a binding to one that isn't there::

        auth = EdgeWorker("edge-auth", EdgeWorkerArgs(plan=plans["auth"], ...))
        api = EdgeWorker("edge-api", EdgeWorkerArgs(plan=plans["api"], ...), pulumi.ResourceOptions(depends_on=[auth]))
    """

    script_name: pulumi.Output[str]
    """Name of the script at Cloudflare."""

    def __init__(self, name: str, args: EdgeWorkerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:edge:EdgeWorker", name, None, opts)
        plan = args.plan
        child = pulumi.ResourceOptions(parent=self)
        script = cloudflare.WorkersScript(
            f"{name}-script",
            account_id=args.account_id,
            script_name=plan.name,
            main_module=plan.module.name,
            content_file=str(plan.module),
            content_sha256=plan.sha256,
            compatibility_date=args.compatibility_date,
            compatibility_flags=list(args.compatibility_flags),
            bindings=bindings_of(args),
            migrations=migrations_of(plan.migrations),
            assets=cloudflare.WorkersScriptAssetsArgs(
                directory=str(plan.assets.directory),
                config=cloudflare.WorkersScriptAssetsConfigArgs(
                    not_found_handling=plan.assets.not_found_handling, run_worker_first=plan.assets.run_worker_first
                ),
            )
            if plan.assets
            else None,
            observability=cloudflare.WorkersScriptObservabilityArgs(enabled=True),
            opts=child,
        )
        self.script_name = script.script_name
        for workflow in (use for use in plan.workflows if use.script == plan.name):
            cloudflare.Workflow(
                f"{name}-workflow-{workflow.name}",
                account_id=args.account_id,
                workflow_name=workflow.name,
                class_name=workflow.class_name,
                script_name=script.script_name,
                opts=child,
            )
        if plan.crons:
            cloudflare.WorkersCronTrigger(
                f"{name}-cron",
                account_id=args.account_id,
                script_name=script.script_name,
                schedules=[cloudflare.WorkersCronTriggerScheduleArgs(cron=cron) for cron in plan.crons],
                opts=child,
            )
        for route in plan.routes:
            pattern = route.format(zone=args.zone)
            cloudflare.WorkersRoute(
                f"{name}-route-{slug(pattern.split('/', 1)[0], args.zone)}", zone_id=args.zone_id, pattern=pattern, script=script.script_name, opts=child
            )
        for host in hosts_of(plan.routes, args.zone):
            cloudflare.DnsRecord(
                f"{name}-dns-{slug(host, args.zone)}",
                zone_id=args.zone_id,
                name=host,
                type="AAAA",
                content=PLACEHOLDER_ADDRESS,
                ttl=1,
                proxied=True,
                opts=child,
            )
        self.register_outputs({"scriptName": self.script_name})
