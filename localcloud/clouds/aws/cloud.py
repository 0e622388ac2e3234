"""The AWS APIs: moto's answers, but for spot capacity, spot prices and machines, which are the local cloud's own."""

from __future__ import annotations

import logging
import re
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

from localcloud.clouds.aws import control_policy, metadata_defaults, run_instances
from localcloud.clouds.aws.emulation import MANAGEMENT, Emulation, Scope, action
from localcloud.clouds.aws.record import Ending
from localcloud.clouds.aws.xml import ec2_answer, ec2_error
from localcloud.clouds.capacity import SpotMarket, ask
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer
from localcloud.hosts.cloudinit import decoded
from localcloud.hosts.room import Machine, MachineRoom, MachineSpec

log = logging.getLogger("localcloud.aws")

MarketCall = Callable[[str, dict[str, str]], HttpAnswer]
"""``(region, request's form) → EC2's answer to what the market knows``."""

SPOT_QUOTA = "L-34B43A08"
SPOT_VCPUS = 256.0
_INTERRUPTED = "Server.SpotInstanceTermination"


class AwsCloud:
    """Answers AWS's calls. Machines run in ``room``; spot capacity and prices come from ``market``."""

    def __init__(self, record: Path, room: MachineRoom, market: SpotMarket, asks_market: MarketCall) -> None:
        self._room = room
        self._market = market
        self._asks_market = asks_market
        self._answered: dict[str, HttpAnswer] = {}
        """Of calls with a client token: the same call again has the same answer and no effect (EC2 API reference, "Ensuring idempotency")."""
        self.emulation = Emulation(record, self._applied, metadata_defaults.LACKING)
        room.on_gone(self._machine_gone)

    def handle(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one call. Blocks; to be run in a thread."""
        self.emulation.wait_ready()
        name = action(request)
        with self.emulation.lock:
            scope = self.emulation.scope(request)
            try:
                if control_policy.denied(self._control_policies(scope.account), scope.service, name, scope.region):
                    return _denied(request, scope, name)
                if (known := self._answered.get(_client_token(request, scope, name))) is not None:
                    return known
                if scope.service == "servicequotas":
                    return _service_quota(request, name)
                handler = self._ours.get(name) if scope.service == "ec2" else None
                return handler(self, request, scope) if handler is not None else self.emulation.call(request)
            except Exception:
                log.exception("aws: %s %s:%s failed", request.host, scope.service, name)
                return ec2_error(500, "InternalError", "An internal error has occurred")

    def reconcile(self) -> None:
        """Ends the instances whose machine did not outlive the local cloud. To be called once, when the record is replayed."""
        self.emulation.wait_ready()
        for machine in self._room.machines():
            if machine.cloud == "aws" and not machine.living:
                self._machine_gone(machine)
        with self.emulation.lock:
            for _, instance in self.instances():
                if (known := self._room.get(instance.id)) is not None:
                    _lead_to(instance, known)
            lost = [(scope, instance.id) for scope, instance in self.instances() if instance.state == "running" and self._room.get(instance.id) is None]
            for scope, instance_id in lost:
                self.emulation.end(Ending(instance_id, scope.account, scope.region, "terminated", "Server.InternalError", "its machine is lost", time.time()))

    def instances(self) -> Iterator[tuple[Scope, Any]]:
        """Every instance that moto knows, with its account and region. To be used under the emulation's lock."""
        for account, regions in list(self.emulation.backends("ec2").items()):
            for region, backend in list(regions.items()):
                for instance in backend.all_instances():
                    yield Scope(account, region, "ec2"), instance

    def _control_policies(self, account: str) -> list[str]:
        """The documents of the service control policies on a member account; the management account has none, as in AWS."""
        organization = self.emulation.backends("organizations")[MANAGEMENT]["aws"]
        if account == MANAGEMENT or organization.org is None:
            return []
        targets = {account} | {one.parent_id for one in organization.accounts if one.id == account}
        own = [policy for policy in organization.policies if policy.type == "SERVICE_CONTROL_POLICY" and not policy.aws_managed]
        return [policy.content for policy in own if any(target.id in targets for target in policy.attachments)]

    def _run_instances(self, request: HttpRequest, scope: Scope) -> HttpAnswer:
        backend = self.emulation.backends("ec2")[scope.account][scope.region]
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        template = _template(backend, form)
        full = run_instances.with_volume_defaults(run_instances.with_template(form, template) if template else form)
        full["ImageId"] = self._image(scope, full.get("ImageId", ""))
        full.setdefault("InstanceType", "m1.small")
        bid = run_instances.bid(full)
        zone = self._zone(backend, full, scope)
        if bid is not None and full.get("DryRun", "false").lower() != "true":
            refusal = self._refusal(scope.region, zone, full["InstanceType"], bid)
            if refusal is not None:
                return refusal
        answer = self.emulation.call(replace(request, body=urlencode(full).encode()))
        if answer.status >= 400:
            return answer
        for instance_id in _instance_ids(answer.body):
            instance = backend.get_instance_by_id(instance_id)
            name = str(instance.private_dns_name).split(".")[0]
            user_data = decoded(full.get("UserData", ""))
            machine = self._room.start(
                MachineSpec(instance_id, "aws", scope.account, scope.region, zone, full["InstanceType"], name, user_data, bid is not None, full["ImageId"])
            )
            _lead_to(instance, machine)
        return replace(answer, body=_with_spot_fields(answer.body)) if bid is not None else answer

    def _refusal(self, region: str, zone: str, instance_type: str, bid: run_instances.Bid) -> HttpAnswer | None:
        answer = ask(self._market, "aws", region, zone, instance_type, bid.max_price)
        if answer.verdict == "granted":
            return None
        if answer.verdict == "price_too_low":
            message = f"Your Spot request price of {bid.max_price} is lower than the minimum required Spot request fulfillment price of {answer.price}."
            return ec2_error(400, "SpotMaxPriceTooLow", message)
        if answer.verdict == "not_offered":
            message = f"Your requested instance type ({instance_type}) is not supported in your requested Availability Zone ({zone})."
            return ec2_error(400, "Unsupported", message)
        return ec2_error(500, "InsufficientInstanceCapacity", "There is no Spot capacity available that matches your request.")

    def _market_call(self, request: HttpRequest, scope: Scope) -> HttpAnswer:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True)) | request.parameters
        return self._asks_market(scope.region, form)

    def _describe_spot_requests(self, request: HttpRequest, scope: Scope) -> HttpAnswer:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        wanted = {value for key, value in form.items() if key.startswith("SpotInstanceRequestId")}
        items = []
        for where, instance in self.instances():
            request_id = spot_request_id(instance.id)
            if where[:2] != scope[:2] or instance.lifecycle != "spot" or (wanted and request_id not in wanted):
                continue
            wanted.discard(request_id)
            items.append(_spot_request(instance, request_id))
        if wanted:
            return ec2_error(400, "InvalidSpotInstanceRequestID.NotFound", f"The spot instance request ID '{min(wanted)}' does not exist")
        return ec2_answer("DescribeSpotInstanceRequests", f"<spotInstanceRequestSet>{''.join(items)}</spotInstanceRequestSet>")

    def _cancel_spot_requests(self, request: HttpRequest, scope: Scope) -> HttpAnswer:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        ids = [value for key, value in sorted(form.items()) if key.startswith("SpotInstanceRequestId")]
        items = "".join(f"<item><spotInstanceRequestId>{escape(one)}</spotInstanceRequestId><state>cancelled</state></item>" for one in ids)
        return ec2_answer("CancelSpotInstanceRequests", f"<spotInstanceRequestSet>{items}</spotInstanceRequestSet>")

    def _create_endpoint(self, request: HttpRequest, scope: Scope) -> HttpAnswer:
        """EC2's default type is Gateway; moto leaves it empty and then can't delete the endpoint."""
        form = {"VpcEndpointType": "Gateway"} | dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        return self.emulation.call(replace(request, body=urlencode(form).encode()))

    _ours: dict[str, Callable[[AwsCloud, HttpRequest, Scope], HttpAnswer]] = {
        "RunInstances": _run_instances,
        "CreateVpcEndpoint": _create_endpoint,
        "DescribeSpotPriceHistory": _market_call,
        "GetSpotPlacementScores": _market_call,
        "DescribeInstanceTypes": _market_call,
        "DescribeSpotInstanceRequests": _describe_spot_requests,
        "CancelSpotInstanceRequests": _cancel_spot_requests,
    }

    def _applied(self, request: HttpRequest, scope: Scope, answer: HttpAnswer) -> None:
        """What moto leaves out of a change; the machines of terminated instances are stopped."""
        if scope.service != "ec2":
            return
        name = action(request)
        if token := _client_token(request, scope, name):
            self._answered[token] = answer
        backend = self.emulation.backends("ec2")[scope.account][scope.region]
        if name == "RunInstances":
            for instance_id in _instance_ids(answer.body):
                instance = backend.get_instance_by_id(instance_id)
                for interface in instance.nics.values():
                    interface.delete_on_termination = True  # EC2's default for interfaces made at launch
                if not instance.security_groups and 0 in instance.nics:
                    instance.security_groups = list(instance.nics[0].group_set)
                if instance.lifecycle == "spot":
                    instance.spot_instance_request_id = spot_request_id(instance_id)
        elif name == "DeleteNatGateway":
            _remove_interface(backend, dict(parse_qsl(request.body.decode()))["NatGatewayId"])
        elif name in ("TerminateInstances", "StopInstances"):
            for instance_id in _instance_ids(answer.body):
                self._room.stop(instance_id)

    def _machine_gone(self, machine: Machine) -> None:
        if machine.cloud != "aws":
            return
        if machine.state == "interrupted":
            ending = Ending(machine.id, machine.account, machine.region, "terminated", _INTERRUPTED, "Spot instance termination", time.time())
        else:
            why = "Client.InstanceInitiatedShutdown"
            ending = Ending(machine.id, machine.account, machine.region, "stopped", why, "Instance initiated shutdown", time.time())
        self.emulation.end(ending)

    def _image(self, scope: Scope, image: str) -> str:
        """The image's id; ``resolve:ssm:<parameter>`` is looked up as EC2 does."""
        if not image.startswith("resolve:ssm:"):
            return image
        name = image.removeprefix("resolve:ssm:")
        parameter = self.emulation.backends("ssm")[scope.account][scope.region].get_parameter(name)
        if parameter is not None:
            return str(parameter.value)
        # moto knows Amazon's public parameters but not every vendor's: the image of the architecture that the name tells.
        return UBUNTU["arm64" if "/arm64/" in name else "x86_64"]

    def _zone(self, backend: Any, form: dict[str, str], scope: Scope) -> str:
        found = backend.subnets and next(
            (zones[subnet] for zones in backend.subnets.values() for subnet in zones if subnet == run_instances.subnet(form)), None
        )
        return str(found.availability_zone) if found else form.get("Placement.AvailabilityZone") or scope.region + "a"


UBUNTU = {"x86_64": "ami-0000000000002404a", "arm64": "ami-0000000000002404b"}
"""Ubuntu 24.04 in ``images.json``, by architecture."""


def _service_quota(request: HttpRequest, name: str) -> HttpAnswer:
    """Service Quotas 2019-06-24: EC2's spot quota, as an account has it that asked for more once; moto knows those of VPCs only."""
    asked = request.json()
    if name != "GetServiceQuota" or asked.get("ServiceCode") != "ec2" or asked.get("QuotaCode") != SPOT_QUOTA:
        return json_answer(400, {"__type": "NoSuchResourceException", "message": "The request failed because the specified service does not exist."})
    quota = {"ServiceCode": "ec2", "QuotaCode": SPOT_QUOTA, "QuotaName": "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"}
    return json_answer(200, {"Quota": quota | {"Value": SPOT_VCPUS, "Unit": "None", "Adjustable": True, "GlobalQuota": False}})


def _denied(request: HttpRequest, scope: Scope, name: str) -> HttpAnswer:
    """An explicit deny, in the protocol of the call."""
    message = f"You are not authorized to perform: {scope.service}:{name} in {scope.region} with an explicit deny in a service control policy"
    if scope.service == "ec2":
        return ec2_error(403, "UnauthorizedOperation", message)
    if "x-amz-target" in request.headers:
        return json_answer(400, {"__type": "AccessDeniedException", "Message": message}, {"content-type": "application/x-amz-json-1.1"})
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
    return HttpAnswer(403, body.encode(), {"content-type": "text/xml"})


def _client_token(request: HttpRequest, scope: Scope, name: str) -> str:
    """What names an EC2 call that is made once; "" for one without a client token."""
    if scope.service != "ec2" or b"ClientToken" not in request.body:
        return ""
    token = dict(parse_qsl(request.body.decode("latin-1"))).get("ClientToken", "")
    return f"{scope.account}/{scope.region}/{name}/{token}" if token else ""


def spot_request_id(instance_id: str) -> str:
    """The spot request that gave ``instance_id``: one each, told from its id, so that a replay knows it."""
    return f"sir-{zlib.crc32(instance_id.encode()):08x}"


def _template(backend: Any, form: dict[str, str]) -> dict[str, Any] | None:
    template_id, name = form.get("LaunchTemplate.LaunchTemplateId"), form.get("LaunchTemplate.LaunchTemplateName")
    known = backend.launch_templates.get(template_id or backend.launch_template_name_to_ids.get(name))
    if known is None:
        return None  # moto answers InvalidLaunchTemplate…NotFound
    wanted = form.get("LaunchTemplate.Version", "$Default")
    number = {"$Latest": known.latest_version_number, "$Default": known.default_version_number}.get(wanted) or int(wanted)
    found = next((version.data for version in known.versions if int(version.number) == int(number)), None)
    return dict(found) if found is not None else None


def _remove_interface(backend: Any, gateway_id: str) -> None:
    """A NAT gateway's interface goes with it and sets its address free; moto keeps both."""
    interface = backend.nat_gateways[gateway_id]._eni
    for address in backend.addresses:
        if address.eni is interface:
            address.eni = None
            address.association_id = None
    backend.enis.pop(interface.id, None)


def _lead_to(instance: Any, machine: Machine) -> None:
    """A public address is the machine's own on this computer: it leads to what listens there."""
    for interface in instance.nics.values():
        if interface.public_ip:
            interface.public_ip = machine.address


def _instance_ids(body: bytes) -> list[str]:
    return list(dict.fromkeys(re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>", body.decode())))


def _with_spot_fields(body: bytes) -> bytes:
    def field(match: re.Match[str]) -> str:
        return f"{match[0]}<spotInstanceRequestId>{spot_request_id(match[1])}</spotInstanceRequestId>"

    text = body.decode()
    if "<spotInstanceRequestId>" not in text:
        text = re.sub(r"<instanceId>(i-[0-9a-f]+)</instanceId>", field, text)
    return text.encode()


def _spot_request(instance: Any, request_id: str) -> str:
    running = instance.state in ("pending", "running")
    code = "fulfilled" if running else "instance-terminated-no-capacity" if instance.state_reason.code == _INTERRUPTED else "instance-terminated-by-user"
    created = instance.launch_time.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    tags = "".join(f"<item><key>{escape(tag['key'])}</key><value>{escape(tag['value'])}</value></item>" for tag in instance.get_tags())
    return (
        f"<item><spotInstanceRequestId>{request_id}</spotInstanceRequestId><type>one-time</type><state>{'active' if running else 'closed'}</state>"
        f"<status><code>{code}</code><updateTime>{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}</updateTime><message>{code}</message></status>"
        f"<instanceId>{instance.id}</instanceId><createTime>{created}</createTime><productDescription>Linux/UNIX</productDescription>"
        f"<launchedAvailabilityZone>{instance.placement.zone}</launchedAvailabilityZone><instanceInterruptionBehavior>terminate</instanceInterruptionBehavior>"
        f"<launchSpecification><imageId>{instance.image_id}</imageId><instanceType>{instance.instance_type}</instanceType></launchSpecification>"
        f"<tagSet>{tags}</tagSet></item>"
    )
