"""Runs a program against a recording engine and tells what it declared."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime.stack import run_pulumi_func

OUTPUTS: dict[str, dict[str, Any]] = {
    "aws:organizations/account:Account": {"arn": "arn:aws:organizations::111111111111:account/o-spotlane/222222222222"},
    "aws:iam/policy:Policy": {"arn": "arn:aws:iam::222222222222:policy/spotlane/spotlane-workload-boundary"},
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {"arn": "arn:aws:iam::222222222222:oidc-provider/token.example.com"},
    "aws:cloudwatch/logGroup:LogGroup": {"arn": "arn:aws:logs:eu-west-1:222222222222:log-group:/spotlane/flows/eu-west-1"},
    "aws:kms/key:Key": {"arn": "arn:aws:kms:eu-west-1:222222222222:key/1"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:ec2/instance:Instance": {"privateIp": "10.16.16.4", "publicIp": "203.0.113.9"},
    "azure-native:network:NetworkInterface": {"ipConfigurations": [{"name": "private", "privateIPAddress": "10.32.0.4"}]},
    "azure-native:network:PublicIPAddress": {"ipAddress": "203.0.113.9"},
    "azure-native:compute:VirtualMachine": {"identity": {"type": "UserAssigned", "userAssignedIdentities": {}}},  # a list going in, a mapping coming out
    "azure-native:compute:DiskEncryptionSet": {"identity": {"type": "UserAssigned", "userAssignedIdentities": {}}},
    "azure-native:managedidentity:UserAssignedIdentity": {"tenantId": "directory", "principalId": "principal"},
    "azure-native:keyvault:Key": {"keyUriWithVersion": "https://vault/keys/disks/1"},
    "azure-native:subscription:Alias": {"properties": {"subscriptionId": "0f8b3b1e-0000-0000-0000-6a1f5f3f7a10"}},
    "gcp:organizations/project:Project": {"number": "123456789012"},
    "gcp:serviceaccount/account:Account": {"email": "wl@spotlane-acme.iam.gserviceaccount.com"},
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": {"name": "projects/123456789012/locations/global/workloadIdentityPools/spotlane-automation"},
    "gcp:compute/instance:Instance": {"instanceId": "42", "networkInterfaces": [{"networkIp": "10.48.0.4", "accessConfigs": [{"natIp": "203.0.113.9"}]}]},
}
"""What the clouds add to the inputs, as far as the programs read it."""


def secret(value: Any) -> Any:
    """What a secret hides. Fails where ``value`` isn't one."""
    assert value["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270", "not a Pulumi secret"
    return value["value"]


@dataclass
class Declared(pulumi.runtime.Mocks):
    """The resources of one run by type, the stack's outputs, and what the foundations' stacks hold."""

    foundations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resources: list[pulumi.runtime.MockResourceArgs] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Gives the resource an id and its outputs."""
        if args.typ == "pulumi:pulumi:StackReference":
            stack = args.name.rpartition("/")[2]
            return args.name, {"name": args.name, "outputs": dict(self.foundations.get(stack, {})), "secretOutputNames": []}
        self.resources.append(args)
        return f"{args.name}-id", {"name": args.name, **args.inputs, **OUTPUTS.get(args.typ, {})}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Answers the functions that the programs call."""
        if args.token == "aws:index/getCallerIdentity:getCallerIdentity":
            return {"accountId": "111111111111", "arn": "arn:aws:iam::111111111111:root", "id": "111111111111", "userId": "x"}, []
        if args.token == "gcp:organizations/getProject:getProject":
            return {**args.args, "id": f"projects/{args.args['projectId']}", "number": "210987654321"}, []
        return {"token": "tunnel-token", "accountId": args.args["accountId"], "tunnelId": args.args["tunnelId"], "id": "x"}, []

    def inputs(self, kind: str) -> list[Any]:
        """The inputs of the resources whose type ends with ``kind``, in the order in which they were declared."""
        return [args.inputs for args in self.resources if args.typ.rpartition(":")[2] == kind]

    def one(self, kind: str) -> Any:
        """The inputs of the only such resource."""
        (only,) = self.inputs(kind)
        return only


def declared(program: Callable[[], None], stack: str, foundations: Mapping[str, Mapping[str, Any]] | None = None) -> Declared:
    """Runs ``program`` as the stack of this name; ``foundations`` are the outputs of the stacks that it reads, by name."""
    run = Declared(foundations or {})

    async def whole() -> None:
        pulumi.runtime.set_mocks(run, project="spotlane", stack=stack, preview=False)
        root: Any = pulumi.runtime.settings.get_root_resource()
        root.outputs = {}
        await run_pulumi_func(program)
        run.outputs = await _plain(root.outputs)

    alone(whole())
    return run


def alone(program: Coroutine[Any, Any, None]) -> None:
    """Runs ``program`` on a loop of its own: the SDK keeps what it waits for in the loop's context.

    What a failed program leaves pending is ended before the loop is closed. Collected later, it would end in the midst of another program, and hand that one
    futures of a closed loop.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(program)
    except BaseException as error:
        # What its frames hold would be let go at any time from now on; now is the time at which it harms nobody.
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        raise
    finally:
        while left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()


async def _plain(held: Mapping[str, Any]) -> dict[str, Any]:
    return {key: await pulumi.Output.from_input(value).future() for key, value in held.items()}
