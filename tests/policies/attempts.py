"""Ways around the proxy that have worked on some proxy, decoder or cloud. Each must end without a byte at the upstream."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.policies.stage import SUBSCRIPTION, signed

ARM = "management.azure.com"
GCE = "compute.googleapis.com"
EC2 = "ec2.eu-west-1.amazonaws.com"
S3 = "s3.eu-west-1.amazonaws.com"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/web"
MACHINE = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/web"
RULE = f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/n/securityRules/r"
CLOSED = {"direction": "Inbound", "access": "Allow", "sourceAddressPrefix": "192.0.2.1", "destinationAddressPrefix": "10.0.0.0/8"}
CREDENTIAL = "Proxy-Authorization: Basic cGxhdGZvcm06ay1wbGF0Zm9ybQ==\r\n"


@dataclass(frozen=True)
class Attempt:
    """``data`` is sent as it stands: to the proxy itself, or inside a tunnel to ``host``. ``recorded`` says whether the audit must hold a denial."""

    name: str
    data: bytes
    host: str = ""
    recorded: bool = True


def connect(target: str, credential: str = CREDENTIAL, more: str = "", after: bytes = b"") -> bytes:
    """A CONNECT."""
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credential}{more}\r\n".encode("utf-8", "surrogateescape") + after


def request(host: str, method: str, target: str, body: bytes = b"", *headers: str) -> bytes:
    """A plain request with a right length."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    if body or method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def put(path: str, document: Any, *headers: str, method: str = "PUT", query: str = "api-version=2024-11-01") -> bytes:
    """A write to Resource Manager; bytes as they stand."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return request(ARM, method, f"{path}?{query}", body, "Content-Type: application/json", *headers)


def google(path: str, document: Any = None, *headers: str, method: str = "POST") -> bytes:
    """A write to Compute in the tenant's project."""
    body = document if isinstance(document, bytes) else json.dumps(document or {}).encode()
    return request(GCE, method, f"/compute/v1/projects/acme-1/{path}", body, "Content-Type: application/json", *headers)


def form(host: str, text: str, *headers: str, query: str = "", key: str = "ASIATENANT", region: str = "eu-west-1", service: str = "ec2") -> bytes:
    """A signed form."""
    own = [f"{name}: {value}" for name, value in signed(region, key, service).items()]
    kind = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
    return request(host, "POST", "/" + (f"?{query}" if query else ""), text.encode("latin-1"), kind, *own, *headers)


def by(service: str) -> list[str]:
    """Header lines of a request to another service, signed by the tenant's session."""
    return [f"{name}: {value}" for name, value in signed("eu-west-1", "ASIATENANT", service).items()]


RUN = {
    "Action": "RunInstances",
    "Version": "2016-11-15",
    "ImageId": "ami-1",
    "MinCount": "1",
    "MaxCount": "1",
    "InstanceMarketOptions.MarketType": "spot",
    "BlockDeviceMapping.1.DeviceName": "/dev/sda1",
    "BlockDeviceMapping.1.Ebs.Encrypted": "true",
}
STORE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/s"
HALF_OPEN = {"direction": "Inbound", "access": "Allow", "sourceAddressPrefix": "0.0.0.0/1"}
TWO_PLACES = {"location": "westeurope", "properties": {"location": "eastus", "priority": "Spot"}}
SNAKES = {"network_interfaces": [{"access_configs": [{}]}]}
TEMPLATE = "projects/acme-1/global/instanceTemplates/t"
OTHER_TYPE = {"machineType": "zones/us-east1-b/machineTypes/e2"}
ENTITY = b'<!DOCTYPE c [<!ENTITY r "us-west-2">]><C><LocationConstraint>&r;</LocationConstraint></C>'
HIDDEN = ENTITY.decode().replace("us-west-2", "eu-west-1")
"""What it says may be done; but a document type can be read in more than one way."""
REPLICA = b'{"Name": "n", "AddReplicaRegions": [{"Region": "us-east-1"}]}'
GOOGLE_IAM = "iam.googleapis.com"
ROBOT = "a@acme-1.iam.gserviceaccount.com"
OVERRIDDEN = "global/networks/n?%24httpHeaders=x-http-method-override%3ADELETE"
THEIRS = "/subscriptions/9b1f6471-1bf0-4dda-aec3-999999999999/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
SPOT_VM = {"location": "westeurope", "properties": {"priority": "Spot"}}
PUBLIC_SET = {"location": "westeurope", "properties": {"virtualMachineProfile": {"priority": "Spot", "networkProfile": {
    "networkInterfaceConfigurations": [{"name": "n", "properties": {"ipConfigurations": [{"name": "i", "properties": {
        "publicIPAddressConfiguration": {"name": "p"}}}]}}]}}}}  # fmt: skip
SPOT_INSTANCE = {"name": "web", "scheduling": {"provisioningModel": "SPOT"}}


def run(**changes: str | None) -> str:
    """RunInstances with changes; `__` stands for a dot."""
    changed = {**RUN, **{key.replace("__", "."): value for key, value in changes.items()}}
    return urlencode({key: value for key, value in changed.items() if value is not None})


CONTROL = "123456789012.s3-control.eu-west-1.amazonaws.com"
FOREIGN = "210987654321.s3-control.eu-west-1.amazonaws.com"
PUBLIC_ACCESS = "/v20180820/configuration/publicAccessBlock"


def _control_signature() -> list[str]:
    return [f"{name}: {value}" for name, value in signed("eu-west-1", "ASIATENANT", "s3").items()]


def _block(value: str, settings: int = 4) -> bytes:
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")[:settings]
    return ("<PublicAccessBlockConfiguration>" + "".join(f"<{name}>{value}</{name}>" for name in names) + "</PublicAccessBlockConfiguration>").encode()


def ec2(action: str, **parameters: str) -> bytes:
    """Another EC2 action."""
    return form(EC2, urlencode({"Action": action, "Version": "2016-11-15", **{key.replace("__", "."): value for key, value in parameters.items()}}))


def spoken(service: str, target: str, document: Any, region: str = "eu-west-1") -> tuple[bytes, str]:
    """A call of a service that speaks JSON, and its host."""
    host = f"{service}.{region}.amazonaws.com"
    lines = [f"{name}: {value}" for name, value in signed(region, "ASIATENANT", service).items()]
    return request(host, "POST", "/", json.dumps(document).encode(), f"X-Amz-Target: {target}", "Content-Type: application/x-amz-json-1.1", *lines), host


def stored(target: str, *headers: str) -> bytes:
    """A write to S3 in the tenant's region."""
    return request(S3, "PUT", target, b"", *headers, *by("s3"))


TUNNELS = [
    Attempt("an IPv4 address", connect("127.0.0.1:443")),
    Attempt("an IPv6 address", connect("[::1]:443")),
    Attempt("an address as one number", connect("2130706433:443")),
    Attempt("an address in hex", connect("0x7f000001:443")),
    Attempt("the metadata service", connect("169.254.169.254:443")),
    Attempt("the metadata service's name", connect("metadata.google.internal:443")),
    Attempt("a host that isn't known", connect("example.com:443")),
    Attempt("another port", connect(f"{ARM}:8443")),
    Attempt("the plain port", connect(f"{ARM}:80")),
    Attempt("no port", connect(ARM)),
    Attempt("a trailing dot", connect(f"{ARM}.:443")),
    Attempt("a known host as a prefix", connect(f"{ARM}.evil.example:443")),
    Attempt("a known domain as a suffix", connect("ec2.eu-west-1.evilamazonaws.com:443")),
    Attempt("a user in the target", connect(f"user@{ARM}:443")),
    Attempt("a service that isn't known", connect("rds.eu-west-1.amazonaws.com:443")),
    Attempt("the global STS", connect("sts.amazonaws.com:443")),
    Attempt("a dual-stack endpoint", connect("s3.dualstack.us-east-1.amazonaws.com:443")),
    Attempt("a bucket with dots", connect("a.b.s3.eu-west-1.amazonaws.com:443")),
    Attempt("a name in another script", connect("mаnagement.azure.com:443"), recorded=False),
    Attempt("no credential", connect(f"{ARM}:443", ""), recorded=False),
    Attempt("a wrong key", connect(f"{ARM}:443", "Proxy-Authorization: Basic cGxhdGZvcm06d3Jvbmc=\r\n"), recorded=False),
    Attempt("a credential that is no base64", connect(f"{ARM}:443", "Proxy-Authorization: Basic ###\r\n"), recorded=False),
    Attempt("bytes before the tunnel is open", connect(f"{ARM}:443", after=b"GET / HTTP/1.1\r\n\r\n")),
    Attempt("a body on CONNECT", connect(f"{ARM}:443", more="Content-Length: 4\r\n", after=b"GET ")),
    Attempt("plain HTTP by absolute form", f"GET http://{ARM}/subscriptions HTTP/1.1\r\nHost: {ARM}\r\n{CREDENTIAL}\r\n".encode(), recorded=False),
    Attempt("HTTPS by absolute form", f"GET https://{ARM}/subscriptions HTTP/1.1\r\nHost: {ARM}\r\n{CREDENTIAL}\r\n".encode(), recorded=False),
    Attempt("HTTP/2 by prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", recorded=False),
    Attempt("SOCKS 5", b"\x05\x01\x00", recorded=False),
]

HTTP = [
    Attempt("another Host", request("api.cloudflare.com", "GET", "/subscriptions"), ARM),
    Attempt("no Host", b"GET /subscriptions HTTP/1.1\r\n\r\n", ARM),
    Attempt("two Hosts", f"GET /subscriptions HTTP/1.1\r\nHost: {ARM}\r\nHost: api.cloudflare.com\r\n\r\n".encode(), ARM),
    Attempt("a Host with another port", request(f"{ARM}:8443", "GET", "/subscriptions"), ARM),
    Attempt("an absolute target", request(ARM, "GET", "https://api.cloudflare.com/"), ARM),
    Attempt("CONNECT inside the tunnel", b"CONNECT api.cloudflare.com:443 HTTP/1.1\r\nHost: management.azure.com\r\n\r\n", ARM),
    Attempt("OPTIONS *", request(ARM, "OPTIONS", "*"), ARM),
    Attempt("TRACE", request(ARM, "TRACE", "/subscriptions"), ARM),
    Attempt("a made-up method", request(ARM, "PROPFIND", "/subscriptions"), ARM),
    Attempt("length and chunks", request(ARM, "POST", "/x", b"0\r\n\r\n", "Transfer-Encoding: chunked"), ARM),
    Attempt("two lengths", f"POST /x HTTP/1.1\r\nHost: {ARM}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd".encode(), ARM),
    Attempt("a signed length", f"POST /x HTTP/1.1\r\nHost: {ARM}\r\nContent-Length: +3\r\n\r\nabc".encode(), ARM),
    Attempt("a negative length", f"POST /x HTTP/1.1\r\nHost: {ARM}\r\nContent-Length: -1\r\n\r\n".encode(), ARM),
    Attempt("gzip and chunks", f"POST /x HTTP/1.1\r\nHost: {ARM}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".encode(), ARM),
    Attempt("an unknown transfer coding", f"POST /x HTTP/1.1\r\nHost: {ARM}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".encode(), ARM),
    Attempt("a chunk size that overflows", f"POST /x HTTP/1.1\r\nHost: {ARM}\r\nTransfer-Encoding: chunked\r\n\r\n{'f' * 40}\r\n".encode(), ARM),
    Attempt("a chunk size that is no number", f"POST /x HTTP/1.1\r\nHost: {ARM}\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n".encode(), ARM),
    Attempt("a blank before the colon", f"GET /x HTTP/1.1\r\nHost: {ARM}\r\nAuthorization : a\r\n\r\n".encode(), ARM),
    Attempt("a NUL in a header", f"GET /x HTTP/1.1\r\nHost: {ARM}\r\nX-A: a\0b\r\n\r\n".encode(), ARM),
    Attempt("a head without end", f"GET /x HTTP/1.1\r\nHost: {ARM}\r\nX-A: ".encode() + b"a" * 300000 + b"\r\n\r\n", ARM),
    Attempt("an upgrade to WebSocket", request(ARM, "GET", "/x", b"", "Upgrade: websocket", "Connection: upgrade"), ARM),
    Attempt("an upgrade to h2c", request(ARM, "GET", "/x", b"", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "Connection: Upgrade, HTTP2-Settings"), ARM),
    Attempt("HTTP/2 in the tunnel", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ARM),
    Attempt("raw bytes", b"\x00\x01raw bytes\r\n\r\n", ARM),
    Attempt("a method override", put(GROUP, {"location": "westeurope"}, "X-HTTP-Method-Override: DELETE"), ARM),
    Attempt("another URL in a header", request(ARM, "GET", GROUP, b"", "X-Original-URL: /subscriptions/other"), ARM),
    Attempt("a body as gzip", put(GROUP, gzip.compress(b'{"location": "westeurope"}'), "Content-Encoding: gzip"), ARM),
    Attempt("a body as gzip, hidden by a second header", put(GROUP, b"x", "Content-Encoding: gzip", "Content-Encoding: identity"), ARM),
    Attempt("a body as br", put(GROUP, b"x", "Content-Encoding: br"), ARM),
    Attempt("two Authorizations", request(ARM, "GET", GROUP, b"", "Authorization: Bearer a", "Authorization: Bearer b"), ARM),
    Attempt("two Content-Types", put(GROUP, {"location": "westeurope"}, "Content-Type: text/plain"), ARM),
    Attempt("dots in the path", request(ARM, "GET", "/subscriptions/../x"), ARM),
    Attempt("quoted dots in the path", request(ARM, "GET", f"{GROUP}/%2e%2e/%2e%2e/other"), ARM),
    Attempt("a quoted slash in the path", request(ARM, "GET", f"/subscriptions/{SUBSCRIPTION}%2FresourceGroups/web"), ARM),
    Attempt("a doubly quoted slash", request(ARM, "GET", f"/subscriptions/{SUBSCRIPTION}%252F..%252Fother/resourceGroups/web"), ARM),
    Attempt("a backslash in the path", request(ARM, "GET", f"/subscriptions\\other{GROUP}"), ARM),
    Attempt("a doubled slash", request(ARM, "GET", f"/{GROUP}"), ARM),
    Attempt("a quoted NUL in the path", request(ARM, "GET", f"{GROUP}%00"), ARM),
    Attempt("a path parameter", request(ARM, "GET", f"{GROUP};v=1/providers"), ARM),
    Attempt("a fragment in the target", request(ARM, "GET", f"{GROUP}#/../other"), ARM),
    Attempt("a body of nine megabytes", request(ARM, "PUT", GROUP, b" " * (9 << 20)), ARM),
]

AZURE = [
    Attempt("a region outside", put(GROUP, {"location": "eastus"}), ARM),
    Attempt("a region in its display form", put(GROUP, {"location": "East US"}), ARM),
    Attempt("a region that isn't listed", put(GROUP, {"location": "eastus2euap"}), ARM),
    Attempt("no region", put(GROUP, {}), ARM),
    Attempt("a second location in another letter case", put(GROUP, b'{"location": "westeurope", "Location": "eastus"}'), ARM),
    Attempt("the location in another letter case only", put(GROUP, b'{"LOCATION": "eastus"}'), ARM),
    Attempt("the location twice", put(GROUP, b'{"location": "westeurope", "location": "eastus"}'), ARM),
    Attempt("the location twice, once escaped", put(GROUP, b'{"location": "westeurope", "\\u006cocation": "eastus"}'), ARM),
    Attempt("the location beside and inside properties", put(MACHINE, TWO_PLACES), ARM),
    Attempt("a body in UTF-16", put(GROUP, '{"location": "westeurope"}'.encode("utf-16")), ARM),
    Attempt("a body in UTF-7", put(GROUP, b'{"location": "westeurope"}').replace(b"application/json", b"application/json; charset=utf-7"), ARM),
    Attempt("a body with a byte order mark", put(GROUP, b'\xef\xbb\xbf{"location": "westeurope"}'), ARM),
    Attempt("a list for a body", put(GROUP, b'[{"location": "westeurope"}]'), ARM),
    Attempt("bytes after the body's document", put(GROUP, b'{"location": "westeurope"}{"location": "eastus"}'), ARM),
    Attempt("a body nested without end", put(GROUP, b'{"location": ' + b"[" * 5000 + b"]" * 5000 + b"}"), ARM),
    Attempt("NaN", put(GROUP, b'{"location": "westeurope", "x": NaN}'), ARM),
    Attempt("a parameter twice", put(GROUP, {"location": "westeurope"}, query="api-version=2024-11-01&api-version=2010-01-01"), ARM),
    Attempt("a batch", request(ARM, "POST", "/batch?api-version=2020-06-01", b'{"requests": []}'), ARM),
    Attempt("a batch in capitals", request(ARM, "POST", "/BATCH?api-version=2020-06-01", b'{"requests": []}'), ARM),
    Attempt("a template deployment", put(f"{GROUP}/providers/Microsoft.Resources/deployments/d", {"properties": {"template": {}}}), ARM),
    Attempt("a template deployment in capitals", put(f"{GROUP}/providers/Microsoft.Resources/DEPLOYMENTS/d", {"properties": {}}), ARM),
    Attempt("a deployment stack", put(f"{GROUP}/providers/Microsoft.Resources/deploymentStacks/d", {"properties": {}}), ARM),
    Attempt("an on-demand machine", put(MACHINE, {"location": "westeurope", "properties": {"priority": "Regular"}}), ARM),
    Attempt("a machine whose priority is in capitals", put(MACHINE, {"location": "westeurope", "properties": {"Priority": "Spot"}}), ARM),
    Attempt("a type that isn't judged", put(f"{GROUP}/providers/Microsoft.Sql/servers/s", {"location": "westeurope"}), ARM),
    Attempt("a command run on a machine", put(f"{MACHINE}/runCommand", {"commandId": "RunShellScript"}, method="POST"), ARM),
    Attempt("a disk exported", put(f"{GROUP}/providers/Microsoft.Compute/disks/d/beginGetAccess", {"access": "Read"}, method="POST"), ARM),
    Attempt("a region hidden in a list", put(MACHINE, {**SPOT_VM, "properties": {"priority": "Spot", "targetRegions": [{"region": "eastus"}]}}), ARM),
    Attempt("a subscription hidden in the body", put(MACHINE, {**SPOT_VM, "properties": {"priority": "Spot", "x": {"id": "/subscriptions/other/y"}}}), ARM),
    Attempt("a subscription of nobody", put("/subscriptions/ffffffff-0000-0000-0000-000000000000/resourceGroups/web", {"location": "westeurope"}), ARM),
    Attempt("a subscription hidden in a quoted word", put(GROUP.replace("subscriptions", "%73ubscriptions"), {"location": "westeurope"}), ARM),
    Attempt("a body on DELETE", put(GROUP, {"location": "eastus"}, method="DELETE"), ARM),
    Attempt("a location on a rule, which has none", put(RULE, {"properties": {"location": "eastus", **CLOSED}}), ARM),
    Attempt("a rule's prefix as a list", put(RULE, {"properties": {**CLOSED, "sourceAddressPrefix": ["::/0"]}}), ARM),
    Attempt("an open firewall", put(f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/n/securityRules/r",
            {"properties": HALF_OPEN}), ARM),
    Attempt("storage copied abroad", put(STORE, {"location": "swedencentral", "sku": {"name": "Standard_GRS"}}), ARM),
]  # fmt: skip

GOOGLE = [
    Attempt("a zone outside", google("zones/us-central1-a/instances", SPOT_INSTANCE), GCE),
    Attempt("another's disk that looks like an image", google("zones/europe-west1-b/instances/web/attachDisk",
            {"source": "projects/globex-1/zones/europe-west1-b/disks/d?/images/"}), GCE),
    Attempt("a service account's key", request(GOOGLE_IAM, "POST", f"/v1/projects/acme-1/serviceAccounts/{ROBOT}/keys", b"{}"), GOOGLE_IAM),
    Attempt("a service account's signature", request(GOOGLE_IAM, "POST", f"/v1/projects/acme-1/serviceAccounts/{ROBOT}:signJwt", b"{}"), GOOGLE_IAM),
    Attempt("a method in the query", request(GCE, "GET", f"/compute/v1/projects/acme-1/{OVERRIDDEN}"), GCE),
    Attempt("a parameter in another case", google("zones/europe-west1-b/instances?source_instance_template=global/instanceTemplates/t", SPOT_INSTANCE), GCE),
    Attempt("a region called global", google("regions/global/subnetworks", {"name": "s"}), GCE),
    Attempt("an on-demand instance", google("zones/europe-west1-b/instances", {"name": "web"}), GCE),
    Attempt("a public address", google("zones/europe-west1-b/instances", {**SPOT_INSTANCE, "networkInterfaces": [{"accessConfigs": [{}]}]}), GCE),
    Attempt("a public address in snake case", google("zones/europe-west1-b/instances", SPOT_INSTANCE | SNAKES), GCE),
    Attempt("a public address added later", google("zones/europe-west1-b/instances/web/addAccessConfig", {"type": "ONE_TO_ONE_NAT"}), GCE),
    Attempt("scheduling changed later", google("zones/europe-west1-b/instances/web/setScheduling", {"provisioningModel": "STANDARD"}), GCE),
    Attempt("a bulk insert", google("zones/europe-west1-b/instances/bulkInsert", {"count": 9}), GCE),
    Attempt("a template in the query", google(f"zones/europe-west1-b/instances?sourceInstanceTemplate={TEMPLATE}", {"name": "w"}), GCE),
    Attempt("a machine image in the body", google("zones/europe-west1-b/instances", {**SPOT_INSTANCE, "sourceMachineImage": "global/machineImages/m"}), GCE),
    Attempt("a zone hidden in a link", google("zones/europe-west1-b/instances", SPOT_INSTANCE | OTHER_TYPE), GCE),
    Attempt("a project hidden in a link", google("zones/europe-west1-b/instances", {**SPOT_INSTANCE, "x": "projects/globex-1/global/networks/n"}), GCE),
    Attempt("another tenant's project", request(GCE, "POST", "/compute/v1/projects/nobody-1/global/networks", b'{"name": "n"}'), GCE),
    Attempt("a batch", request(GCE, "POST", "/batch/compute/v1", b"--x"), GCE),
    Attempt("a batch with a body that is JSON", request(GCE, "POST", "/batch", b"{}"), GCE),
    Attempt("an upload path", request(GCE, "POST", "/upload/compute/v1/projects/acme-1/global/images", b"{}"), GCE),
    Attempt("a snapshot", google("zones/europe-west1-b/disks/d/createSnapshot", {"name": "s"}), GCE),
    Attempt("a policy on an image", google("global/images/i/setIamPolicy", {"policy": {}}), GCE),
    Attempt("a fake GET", google("zones/us-central1-a/instances", SPOT_INSTANCE, "X-HTTP-Method-Override: POST", method="GET"), GCE),
    Attempt("an open firewall without ranges", google("global/firewalls", {"name": "f", "allowed": [{"IPProtocol": "all"}]}), GCE),
    Attempt("a half open firewall", google("global/firewalls", {"name": "f", "allowed": [{"IPProtocol": "all"}], "sourceRanges": ["128.0.0.0/1"]}), GCE),
]  # fmt: skip

AWS = [
    Attempt("signed for another region", form(EC2, run(), region="us-east-1"), EC2),
    Attempt("signed for another service", form(EC2, run(), service="iam"), EC2),
    Attempt("a key that nobody learnt", form(EC2, run(), key="ASIASTRANGER"), EC2),
    Attempt("no signature", request(EC2, "POST", "/", run().encode(), "Content-Type: application/x-www-form-urlencoded"), EC2),
    Attempt("a signature over several regions", form(EC2, run()).replace(b"AWS4-HMAC-SHA256", b"AWS4-ECDSA-P256-SHA256"), EC2),
    Attempt("a signature without a date", form(EC2, run()).replace(b"x-amz-date", b"x-amz-dote"), EC2),
    Attempt("an old signature", form(EC2, run()).replace(b"x-amz-date: 20", b"x-amz-date: 19"), EC2),
    Attempt("two signatures", form(EC2, run(), "Authorization: AWS4-HMAC-SHA256 Credential=ASIAOTHER/20261124/eu-west-1/ec2/aws4_request"), EC2),
    Attempt("an on-demand machine", form(EC2, run(InstanceMarketOptions__MarketType=None)), EC2),
    Attempt("an action twice", form(EC2, "Action=DescribeInstances&" + run()), EC2),
    Attempt("an action in the query and in the body", form(EC2, run(), query="Action=DescribeRegions"), EC2),
    Attempt("an action in another letter case", form(EC2, run(Action="runInstances")), EC2),
    Attempt("an action that doesn't exist", form(EC2, run(Action="DescribeRegionsAndRun")), EC2),
    Attempt("an action that isn't judged", ec2("ModifySnapshotAttribute", SnapshotId="snap-1", CreateVolumePermission__Add__1__UserId="210987654321"), EC2),
    Attempt("an image shared", ec2("ModifyImageAttribute", ImageId="ami-1", LaunchPermission__Add__1__Group="all"), EC2),
    Attempt("a parameter in another letter case", form(EC2, run(networkInterface__1__AssociatePublicIpAddress="true")), EC2),
    Attempt("a parameter that doesn't exist", form(EC2, run(Region="us-east-1")), EC2),
    Attempt("an item of a list twice", form(EC2, run(NetworkInterface__1__DeviceIndex="0", NetworkInterface__01__DeviceIndex="1")), EC2),
    Attempt("another API version", form(EC2, run(Version="2006-06-26")), EC2),
    Attempt("parameters separated by semicolons", form(EC2, "Action=DescribeRegions;" + run()), EC2),
    Attempt("a target for a query service", form(EC2, run(), "X-Amz-Target: AmazonEC2.DescribeRegions"), EC2),
    Attempt("a public address on a second interface", form(EC2, run(LaunchTemplate__LaunchTemplateId="lt-1", NetworkInterface__1__DeviceIndex="0",
            NetworkInterface__2__DeviceIndex="1", NetworkInterface__2__AssociatePublicIpAddress="TRUE")), EC2),
    Attempt("a zone outside", form(EC2, run(Placement__AvailabilityZone="us-east-1a")), EC2),
    Attempt("a role of another account", form(EC2, run(IamInstanceProfile__Arn="arn:aws:iam::210987654321:instance-profile/x")), EC2),
    Attempt("a copy from a region outside", ec2("CopySnapshot", SourceRegion="us-east-1", SourceSnapshotId="snap-1", Encrypted="true"), EC2),
    Attempt("a peer in another region", ec2("CreateVpcPeeringConnection", VpcId="vpc-1", PeerVpcId="vpc-2", PeerRegion="us-east-1"), EC2),
    Attempt("a peer of another account", ec2("CreateVpcPeeringConnection", VpcId="vpc-1", PeerVpcId="vpc-2", PeerOwnerId="210987654321"), EC2),
    Attempt("metadata version 1 by default", ec2("ModifyInstanceMetadataDefaults", HttpTokens="optional"), EC2),
    Attempt("the block of public buckets taken away", request(CONTROL, "DELETE", PUBLIC_ACCESS, b"", *_control_signature()), CONTROL),
    Attempt("the block of public buckets weakened", request(CONTROL, "PUT", PUBLIC_ACCESS, _block("false"), *_control_signature()), CONTROL),
    Attempt("the block of public buckets in part", request(CONTROL, "PUT", PUBLIC_ACCESS, _block("true", 3), *_control_signature()), CONTROL),
    Attempt("the block of another account's buckets", request(FOREIGN, "PUT", PUBLIC_ACCESS, _block("true"), *_control_signature()), FOREIGN),
    Attempt("an access point", request(CONTROL, "PUT", "/v20180820/accesspoint/mine", b"<C/>", *_control_signature()), CONTROL),
    Attempt("encryption switched off", ec2("DisableEbsEncryptionByDefault"), EC2),
    Attempt("metadata version 1 switched on", ec2("ModifyInstanceMetadataOptions", InstanceId="i-1", HttpTokens="optional"), EC2),
    Attempt("an open security group", ec2("AuthorizeSecurityGroupIngress", GroupId="sg-1", CidrIp="0.0.0.0/0", IpProtocol="-1"), EC2),
    Attempt("an open security group in version 6", ec2("AuthorizeSecurityGroupIngress", GroupId="sg-1", IpPermissions__1__Ipv6Ranges__1__CidrIpv6="::/0"), EC2),
    Attempt("a rule opened later", ec2("ModifySecurityGroupRules", GroupId="sg-1", SecurityGroupRule__1__SecurityGroupRule__CidrIpv4="0.0.0.0/0"), EC2),
    Attempt("a form that is no form", form(EC2, run()).replace(b"application/x-www-form-urlencoded", b"multipart/form-data"), EC2),
    Attempt("a form that isn't UTF-8", form(EC2, run() + "&ClientToken=\xff"), EC2),
    Attempt("an entity in UTF-16", request(S3, "PUT", "/b", HIDDEN.encode("utf-16"),
            *by("s3")), S3),
    Attempt("an entity in EBCDIC", request(S3, "PUT", "/b",
            b'<?xml version="1.0" encoding="cp037"?>' + HIDDEN.encode("cp037"), *by("s3")), S3),
    Attempt("a scale set with public addresses", put(MACHINE.replace("virtualMachines", "virtualMachineScaleSets"), PUBLIC_SET), ARM),
    Attempt("a machine with another's identity", put(MACHINE, {**SPOT_VM, "identity": {"type": "UserAssigned", "userAssignedIdentities": {THEIRS: {}}}}), ARM),
    Attempt("a bucket outside", request(S3, "PUT", "/b", b'<C xmlns="x"><LocationConstraint xmlns="y">us-west-2</LocationConstraint></C>',
            *by("s3")), S3),
    Attempt("a bucket outside by an entity", request(S3, "PUT", "/b", ENTITY,
            *by("s3")), S3),
    Attempt("an object that the world reads", stored("/b/key", "x-amz-acl: public-read"), S3),
    Attempt("an object given to another", stored("/b/key", "x-amz-grant-read: id=0123"), S3),
    Attempt("an object that leads elsewhere", stored("/b/key", "x-amz-website-redirect-location: https://192.0.2.1/"), S3),
    Attempt("a copy from an access point outside", stored("/b/key", "x-amz-copy-source: arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint/a/k"), S3),
    Attempt("an object under another's key", stored("/b/key", "x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:eu-west-1:999999999999:key/k"), S3),
    Attempt("a runbook that makes calls of its own", *spoken("ssm", "AmazonSSM.StartAutomationExecution", {"DocumentName": "d"})),
    Attempt("a command on machines", *spoken("ssm", "AmazonSSM.SendCommand", {"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-1"]})),
    Attempt("a table carried out", *spoken("dynamodb", "DynamoDB_20120810.ExportTableToPointInTime", {"S3Bucket": "theirs"})),
    Attempt("logs carried out", *spoken("logs", "Logs_20140328.CreateExportTask", {"destination": "theirs", "logGroupName": "g", "from": 0, "to": 1})),
    Attempt("an account that leaves its organisation", *spoken("organizations", "AWSOrganizationsV20161128.LeaveOrganization", {}, "us-east-1")),
    Attempt("machines by a group", form("autoscaling.eu-west-1.amazonaws.com", urlencode({"Action": "CreateAutoScalingGroup", "Version": "2011-01-01",
            "AutoScalingGroupName": "g", "MinSize": "1", "MaxSize": "9", "LaunchTemplate.LaunchTemplateId": "lt-1"}), service="autoscaling"),
            "autoscaling.eu-west-1.amazonaws.com"),
    Attempt("a key without an end", form("iam.amazonaws.com", urlencode({"Action": "CreateAccessKey", "Version": "2010-05-08", "UserName": "u"}),
            service="iam", region="us-east-1"), "iam.amazonaws.com"),
    Attempt("an index of another script", form(EC2, run() + "&" + urlencode({"NetworkInterface.\u00b2.AssociatePublicIpAddress": "true"})), EC2),
    Attempt("a bucket replicated", request(S3, "PUT", "/b?replication", b"<R/>", *by("s3")), S3),
    Attempt("a bucket opened by policy", request(S3, "PUT", "/b?policy", b"{}", *by("s3")), S3),
    Attempt("CBOR with a key twice", request("monitoring.eu-west-1.amazonaws.com", "POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData",
            b"\xa2\x69Namespace\x61a\x69Namespace\x61b", "smithy-protocol: rpc-v2-cbor", "content-type: application/cbor",
            *by("monitoring")), "monitoring.eu-west-1.amazonaws.com"),
    Attempt("CBOR cut off", request("monitoring.eu-west-1.amazonaws.com", "POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData",
            b"\xbf\x69Name", "smithy-protocol: rpc-v2-cbor", *by("monitoring")),
            "monitoring.eu-west-1.amazonaws.com"),
    Attempt("a replica outside", request("secretsmanager.eu-west-1.amazonaws.com", "POST", "/", REPLICA,
            "X-Amz-Target: secretsmanager.CreateSecret", "Content-Type: application/x-amz-json-1.1",
            *by("secretsmanager")), "secretsmanager.eu-west-1.amazonaws.com"),
    Attempt("a target of another service", request("kms.eu-west-1.amazonaws.com", "POST", "/", b"{}", "X-Amz-Target: secretsmanager.CreateSecret",
            *by("kms")), "kms.eu-west-1.amazonaws.com"),
    Attempt("a key in JSON that doesn't exist", request("kms.eu-west-1.amazonaws.com", "POST", "/", b'{"multiRegion": true}',
            "X-Amz-Target: TrentService.CreateKey",
            *by("kms")), "kms.eu-west-1.amazonaws.com"),
]  # fmt: skip
