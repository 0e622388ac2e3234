"""A tenant's AWS account, entered by its automation role: what EC2 holds there with our tags, its removal, and the spot quota.

DescribeTags names every tagged resource of a region with its type; machines and NAT gateways stay listed for an hour after their end, so that their states
are asked for besides. Formats: EC2 API 2016-11-15 (query), STS 2011-06-15 (query), Service Quotas 2019-06-24 (JSON).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from xml.etree import ElementTree

from botocore.credentials import Credentials

from automation.accounts.port import CantRemove, Quota, wait_until_gone
from automation.calls.fetch import FeedFault, Fetcher
from automation.calls.signing import JSON, signed
from domain.catalog import CloudName
from domain.orphans import MANAGED_BY, CloudResource

SPOT_QUOTA = "L-34B43A08"
""""All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", in vCPUs (EC2 service quotas)."""
IMPLIED = frozenset({"volume", "network-interface"})
"""They come with a machine, whose launch template tags them; no stack declares one."""
_REMOVERS: Mapping[str, tuple[str, str]] = {
    "instance": ("TerminateInstances", "InstanceId.1"),
    "volume": ("DeleteVolume", "VolumeId"),
    "network-interface": ("DeleteNetworkInterface", "NetworkInterfaceId"),
    "launch-template": ("DeleteLaunchTemplate", "LaunchTemplateId"),
    "natgateway": ("DeleteNatGateway", "NatGatewayId"),
    "elastic-ip": ("ReleaseAddress", "AllocationId"),
    "vpc-flow-log": ("DeleteFlowLogs", "FlowLogId.1"),
    "vpc-endpoint": ("DeleteVpcEndpoints", "VpcEndpointId.1"),
    "security-group": ("DeleteSecurityGroup", "GroupId"),
    "subnet": ("DeleteSubnet", "SubnetId"),
    "route-table": ("DeleteRouteTable", "RouteTableId"),
    "vpc": ("DeleteVpc", "VpcId"),
}
ORDER = (*list(_REMOVERS)[:-1], "internet-gateway", "vpc")
"""Types in the order in which they can be removed."""
_LIVING = {"instance": ("DescribeInstances", "instance-state-name", ("pending", "running", "stopping", "stopped"), "instanceId"),
           "natgateway": ("DescribeNatGateways", "state", ("pending", "available", "failed"), "natGatewayId")}  # fmt: skip
_AT_ONCE = 6
_PAGES = 100


class AwsAccount:
    """Keeps :class:`automation.accounts.port.Account`. ``credentials`` are the platform's own, ``role_arn`` is the tenant's automation role."""

    cloud: CloudName = "aws"

    def __init__(
        self,
        fetcher: Fetcher,
        credentials: Callable[[], Credentials | None],
        account: str,
        role_arn: str,
        home_region: str,
        external_id: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.id = account
        self._fetcher, self._credentials, self._role, self._home = fetcher, credentials, role_arn, home_region
        self._external_id, self._sleep = external_id, sleep
        self._session: tuple[Credentials, datetime] | None = None

    def resources(self, regions: Sequence[str]) -> list[CloudResource]:
        self._enter()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="aws-account") as pool:
            return [one for found in pool.map(self._tagged, regions) for one in found]

    def remove(self, resource: CloudResource) -> None:
        try:
            if resource.kind == "internet-gateway":
                self._remove_gateway(resource)
                return
            if resource.kind not in _REMOVERS:
                raise CantRemove(f"{resource.kind} {resource.id}: remove it by hand (EC2 console of {resource.region}, account {self.id})")
            action, parameter = _REMOVERS[resource.kind]
            self._ec2(resource.region, action, {parameter: resource.id})
            if resource.kind in _LIVING:
                wait_until_gone(f"{resource.kind} {resource.id}", lambda: resource.id not in self._living(resource.region, resource.kind), self._sleep)
        except FeedFault as fault:
            if ".NotFound" not in fault.detail and "NotFound</Code>" not in fault.detail:
                raise

    def quotas(self, regions: Sequence[str]) -> list[Quota]:
        self._enter()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="aws-account") as pool:
            return list(pool.map(self._quota, regions))

    def _tagged(self, region: str) -> list[CloudResource]:
        tags: dict[tuple[str, str], dict[str, str]] = {}
        for root in self._pages(region, "DescribeTags", {f"Filter.1.{key}": value for key, value in _FILTER.items()}):
            for item in _items(root, "tagSet"):
                tags.setdefault((item["resourceType"], item["resourceId"]), {})[item["key"]] = item.get("value", "")
        ours = {key: found for key, found in tags.items() if found.get("managed-by") == MANAGED_BY}
        for kind in _LIVING:
            if any(one == kind for one, _ in ours):
                living = self._living(region, kind)
                ours = {key: found for key, found in ours.items() if key[0] != kind or key[1] in living}
        return [CloudResource("aws", self.id, region, kind, name, found, kind in IMPLIED) for (kind, name), found in sorted(ours.items(), key=_in_order)]

    def _living(self, region: str, kind: str) -> set[str]:
        action, name, states, field = _LIVING[kind]
        asked = {"Filter.1.Name": name} | {f"Filter.1.Value.{number}": state for number, state in enumerate(states, 1)}
        return {element.text or "" for root in self._pages(region, action, asked) for element in root.iter() if _name(element) == field}

    def _remove_gateway(self, resource: CloudResource) -> None:
        root = self._ec2(resource.region, "DescribeInternetGateways", {"InternetGatewayId.1": resource.id})
        for attachment in _items(root, "attachmentSet"):
            self._ec2(resource.region, "DetachInternetGateway", {"InternetGatewayId": resource.id, "VpcId": attachment["vpcId"]})
        self._ec2(resource.region, "DeleteInternetGateway", {"InternetGatewayId": resource.id})

    def _quota(self, region: str) -> Quota:
        body, target = json.dumps({"ServiceCode": "ec2", "QuotaCode": SPOT_QUOTA}), "ServiceQuotasV20190624.GetServiceQuota"
        url, credentials = f"https://servicequotas.{region}.amazonaws.com/", self._enter()
        answer = self._fetcher.send(lambda: signed(credentials, "servicequotas", region, url, body, JSON, target)).json()
        try:
            return Quota(region, float(answer["Quota"]["Value"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FeedFault("malformed", f"Service Quotas of {region} sent no quota {SPOT_QUOTA}") from error

    def _pages(self, region: str, action: str, asked: Mapping[str, str]) -> Iterable[ElementTree.Element]:
        token = ""
        for _ in range(_PAGES):
            root = self._ec2(region, action, {**asked, **({"NextToken": token} if token else {})})
            yield root
            token = next((child.text or "" for child in root if _name(child) == "nextToken"), "")
            if not token:
                return
        raise FeedFault("malformed", f"EC2 of {region} goes on naming next pages of {action}")

    def _ec2(self, region: str, action: str, parameters: Mapping[str, str]) -> ElementTree.Element:
        return self._query(self._enter(), "ec2", region, {"Action": action, "Version": "2016-11-15", **parameters})

    def _enter(self) -> Credentials:
        """The automation role's session, taken anew five minutes before its hour is over."""
        now = datetime.now(UTC)
        if self._session is not None and self._session[1] > now:
            return self._session[0]
        own = self._credentials()
        if own is None:
            raise FeedFault("denied", "no AWS credentials; set AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, AWS_ACCESS_KEY_ID or a profile")
        form = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": self._role, "RoleSessionName": "spotlane-automation", "DurationSeconds": "3600"}
        root = self._query(own, "sts", self._home, form | ({"ExternalId": self._external_id} if self._external_id else {}))
        parts = {_name(element): element.text or "" for element in root.iter()}
        try:
            session = Credentials(parts["AccessKeyId"], parts["SecretAccessKey"], parts["SessionToken"])
        except KeyError as error:
            raise FeedFault("malformed", f"STS gave no session of {self._role}") from error
        self._session = (session, now + timedelta(minutes=55))
        return session

    def _query(self, credentials: Credentials, service: str, region: str, form: Mapping[str, str]) -> ElementTree.Element:
        answer = self._fetcher.send(lambda: signed(credentials, service, region, f"https://{service}.{region}.amazonaws.com/", urlencode(form)))
        try:
            return ElementTree.fromstring(answer.body)
        except ElementTree.ParseError as error:
            raise FeedFault("malformed", f"{service} of {region} sent no XML") from error


_FILTER = {"Name": "key", "Value.1": "managed-by", "Value.2": "tenant", "Value.3": "workload", "Value.4": "placement", "Value.5": "Name"}


def _in_order(entry: tuple[tuple[str, str], object]) -> tuple[int, str]:
    kind, name = entry[0]
    return (ORDER.index(kind) if kind in ORDER else len(ORDER), name)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _items(root: ElementTree.Element, collection: str) -> Iterable[dict[str, str]]:
    for found in root.iter():
        if _name(found) == collection:
            for item in found:
                yield {_name(part): part.text or "" for part in item}
