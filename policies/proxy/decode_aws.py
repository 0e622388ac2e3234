"""AWS requests as calls: the query protocol (EC2, IAM, STS), JSON 1.x, Smithy RPC v2 CBOR, S3's and other REST forms.

The region is the host's, and every region or account that a parameter or a whole-string ARN names. Operations and the names of their parameters are
checked against botocore's service models: what those don't know is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

from domain.boundary.call import Access, Named
from domain.boundary.names import arn_names, strings
from domain.boundary.regions import of_zone
from policies.facts.resource import Facts
from policies.proxy import cbor, decode_ec2
from policies.proxy.aws_model import Operation, ServiceModel, model
from policies.proxy.aws_writes import check_delete, check_s3_headers, check_write
from policies.proxy.hosts import KnownHost
from policies.proxy.request import ApiRequest, Refused

GLOBAL_SERVICES = frozenset({"organizations", "iam", "sts", "account", "budgets", "ce"})
METADATA_ACTIONS = frozenset(
    {
        "DescribeSpotPriceHistory", "DescribeRegions", "DescribeAvailabilityZones", "DescribeInstanceTypes", "DescribeInstanceTypeOfferings",
        "GetSpotPlacementScores", "DescribeImages", "GetCallerIdentity",
    }
)  # fmt: skip
_METADATA_SERVICES = frozenset({"ec2", "sts"})
_READ = ("Describe", "List", "Get", "Search", "Lookup", "Head", "Filter", "BatchGet", "Query", "Scan", "Simulate")
_DELETE = ("Delete", "Terminate", "Release", "Detach", "Disassociate", "Revoke", "Remove", "Cancel", "Deregister", "Close", "Deactivate", "Leave", "Unassign")
_SIGNED_AS = {"s3-control": "s3"}
"""Services that sign by another name than their host's."""
_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, ?SignedHeaders=[a-z0-9;-]+, ?Signature=[0-9a-f]+"
)
_REGION_KEY = re.compile(r"(?:region|regions|regionname|regioncode|locationconstraint)$", re.IGNORECASE)
_ZONE_KEY = re.compile(r"availabilityzones?$", re.IGNORECASE)
_ACCOUNT_KEY = re.compile(r"(?:account|owner|user|customer)(?:ids?|s)?$", re.IGNORECASE)
_INDEX = re.compile(r"(?:\.\d+|\[\d+\]|\.member|\.item)+$")

S3_SUBRESOURCES = frozenset(
    {
        "versioning", "encryption", "lifecycle", "tagging", "publicAccessBlock", "ownershipControls", "uploads", "uploadId", "partNumber", "delete", "x-id",
        "versionId", "object-lock", "legal-hold", "retention",
    }
)  # fmt: skip
"""What a write to S3 may name. Replication, policies, ACLs, websites and notifications carry data out: nobody here judges where to."""


def access_key(request: ApiRequest) -> tuple[str, str, str] | None:
    """Key id, region and service of the request's signature (SigV4), or None when it isn't signed."""
    match = _CREDENTIAL.fullmatch(request.headers.get("authorization", "").strip())
    return (match[1], match[2], match[3]) if match else None


def decode(request: ApiRequest, host: KnownHost) -> tuple[str, Access, Facts, str]:
    """Action, access, facts and resource of the request. Raises :class:`Refused` where it can't be read."""
    _check_signature(request, host)
    action, parameters = _action(request, host)
    access = _access(action, host)
    if access == "write":
        check_write(host.service, action)
    elif access == "delete":
        check_delete(host.service, action)
    facts = Facts(scope="global" if host.service in GLOBAL_SERVICES else "regional")
    if host.region and facts.scope == "regional":
        facts.regions.append(Named(host.region, "host"))
    if host.service == "ec2" and access == "write":
        facts.regions += decode_ec2.copies(parameters, host.region)
    found = list(strings(parameters))
    facts.regions += [named for named in _places(found) if access == "write" or named.value != host.region]
    regions, accounts = arn_names(iter(found))
    facts.regions += regions
    facts.accounts += accounts
    if access == "write":
        facts.accounts += [Named(text, path) for path, text in found if len(text) == 12 and text.isdecimal() and _ACCOUNT_KEY.search(_leaf(path))]
    if host.service == "ec2" and access == "write":
        decode_ec2.judge_write(action, parameters, facts)
    return action, access, facts, _resource(parameters)


def _check_signature(request: ApiRequest, host: KnownHost) -> None:
    signed = access_key(request)
    if signed is None:
        if request.headers.get("authorization"):
            raise Refused("request", "the request's signature is not of the form AWS4-HMAC-SHA256 with one credential", 400)
        return
    if host.region and signed[1] != host.region:
        raise Refused("request", f"signed for region {signed[1]}, sent to {host.region}", 400)
    if signed[2] != _SIGNED_AS.get(host.service, host.service):
        raise Refused("request", f"signed for service {signed[2]}, sent to {host.service}", 400)


def _places(found: list[tuple[str, str]]) -> Iterator[Named]:
    for path, text in found:
        leaf = _leaf(path)
        if _REGION_KEY.search(leaf):
            yield Named(text, path, copy=leaf.lower().startswith(("source", "destination", "replica", "target")))
        elif _ZONE_KEY.search(leaf):
            yield Named(of_zone("aws", text), path)


def _leaf(path: str) -> str:
    return re.split(r"[.\]]", _INDEX.sub("", path))[-1]


def _action(request: ApiRequest, host: KnownHost) -> tuple[str, dict[str, Any]]:
    if host.service == "s3-control":
        return _s3_control(request)
    known = model(host.service)
    if target := request.headers.get("x-amz-target"):
        return _json(request, known, target)
    if request.headers.get("smithy-protocol") or request.path.startswith("/service/"):
        return _rpc(request, known)
    if host.service == "s3":
        return _s3(request)
    if known.protocol.startswith("rest-"):
        return _rest(request, known)
    if request.path != "/" or request.method not in {"GET", "POST"}:
        raise Refused("request", f"{host.service} takes POST to /", 400)
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    parameters = request.parameters()
    if request.body and not form:
        raise Refused("request", f"a body of {host.service} that is no form", 400)
    if form:
        try:
            body = request.parameters(request.body.decode("utf-8", "strict"))
        except UnicodeDecodeError as error:
            raise Refused("request", "the form is not UTF-8", 400) from error
        if parameters and body:
            raise Refused("request", "parameters stand in the query and in the body", 400)
        parameters |= body
    action = parameters.get("Action")
    if not action:
        raise Refused("request", f"{host.service} request without an action that can be read", 400)
    if parameters.get("Version", known.version) != known.version:
        raise Refused("request", f"version {parameters['Version']!r} of {host.service} is not known here", 400)
    known.check_form(known.operation(action), parameters)
    return action, dict(parameters)


def _json(request: ApiRequest, known: ServiceModel, target: str) -> tuple[str, dict[str, Any]]:
    prefix, _, action = target.rpartition(".")
    if known.protocol != "json" or prefix != known.target or request.query or request.path != "/" or request.method != "POST":
        raise Refused("request", f"target {target!r} is not the service's", 400)
    document = request.json()
    known.check_document(known.operation(action), document)
    return action, document


def _rpc(request: ApiRequest, known: ServiceModel) -> tuple[str, dict[str, Any]]:
    """Smithy RPC v2: ``POST /service/<name>/operation/<Operation>`` with a CBOR body."""
    parts = request.segments
    if request.headers.get("smithy-protocol") != "rpc-v2-cbor" or len(parts) != 4 or parts[0] != "service" or parts[2] != "operation":
        raise Refused("request", "not a request of Smithy RPC v2", 400)
    if request.method != "POST" or request.query:
        raise Refused("request", "Smithy RPC v2 takes POST without a query", 400)
    if known.target and parts[1] != known.target:
        raise Refused("request", f"service {parts[1]!r} is not the host's", 400)
    try:
        document = cbor.loads(request.body) if request.body else {}
    except cbor.CborError as error:
        raise Refused("request", f"the body is not CBOR: {error}", 400) from error
    if not isinstance(document, dict):
        raise Refused("request", "the body is no map", 400)
    known.check_document(known.operation(parts[3]), document)
    return parts[3], document


def _rest(request: ApiRequest, known: ServiceModel) -> tuple[str, dict[str, Any]]:
    parts = request.segments
    operation: Operation = known.rest(request.method, "/" + "/".join(parts), request.parameters())
    document = request.json()
    known.check_document(operation, document)
    return operation.name, document | dict(request.parameters())


def _s3(request: ApiRequest) -> tuple[str, dict[str, Any]]:
    verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}.get(request.method)
    if verb is None:
        raise Refused("request", f"{request.method} is no method of S3", 400)
    query = request.parameters()
    parts = request.segments
    if verb == "Put" and (strange := query.keys() - S3_SUBRESOURCES):
        raise Refused("request", f"a write to S3 with {', '.join(sorted(strange))} is not judged here")
    bucket = request.host.split(".s3.")[0] if ".s3." in request.host else parts[0] if parts else ""
    own_bucket = not parts if ".s3." in request.host else len(parts) < 2
    parameters: dict[str, Any] = {"BucketName": bucket}
    if verb == "Put" and own_bucket and request.body and not query:
        parameters |= {tag: text for tag, text in _xml(request.body) if text}
    if verb == "Put":
        check_s3_headers(request.headers)
    # Keys, owners and access points that its headers name count as if parameters did. A copy's source is quoted.
    parameters |= {
        name: unquote(text).lstrip("/") for name, text in request.headers.items() if name.startswith("x-amz-") and not name.startswith(_WITHOUT_MEANING)
    }
    kind = "Bucket" if own_bucket else "Object"
    return f"{verb}{kind}{''.join(sorted(key.title() for key in query.keys() & S3_SUBRESOURCES - {'x-id', 'uploadId', 'partNumber'}))}", parameters


_WITHOUT_MEANING = ("x-amz-meta-", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token")
"""Of S3's headers: the object's own notes, and the signature's."""
_PUBLIC_ACCESS = frozenset({"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"})


def _s3_control(request: ApiRequest) -> tuple[str, dict[str, Any]]:
    """Of S3's control API only the account's public access block, which is read and switched on, never off."""
    if list(request.segments) != ["v20180820", "configuration", "publicAccessBlock"] or request.parameters():
        raise Refused("request", "of S3's control API only the public access block of an account is judged here")
    account = request.host.split(".")[0]
    if request.headers.get("x-amz-account-id", account) != account:
        raise Refused("request", "the account in the header is not the host's", 400)
    if request.method == "GET":
        return "GetPublicAccessBlock", {"AccountId": account}
    if request.method != "PUT":
        raise Refused("request", "the public access block of an account is a guard rail, it isn't taken away")
    flags = {tag: text for tag, text in _xml(request.body) if tag != "PublicAccessBlockConfiguration"}
    if flags.keys() != _PUBLIC_ACCESS or set(flags.values()) != {"true"}:
        raise Refused("request", "the public access block of an account is a guard rail: all four of its settings are true")
    return "PutPublicAccessBlock", {"AccountId": account}


_ENCODING = re.compile(r"\ufeff?<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([^\"']*)")


def _xml(body: bytes) -> list[tuple[str, str]]:
    """Tags (without namespace) and texts of an XML document. Raises :class:`Refused`; declarations that could define entities are refused unread.

    UTF-8 only, as in JSON: in another encoding a declaration is other bytes, and a reader that doesn't believe the encoding reads another document.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("request", "the XML is not UTF-8", 400) from error
    if "<!" in text:
        raise Refused("request", "the XML declares a document type", 400)
    if (declared := _ENCODING.match(text)) and declared[1].lower() not in {"utf-8", "us-ascii"}:
        raise Refused("request", f"the XML's encoding is {declared[1]!r}", 400)
    try:
        found = [(element.tag.rpartition("}")[2], (element.text or "").strip()) for element in ElementTree.fromstring(text).iter()]
    except (ElementTree.ParseError, ValueError) as error:
        raise Refused("request", "the body is not XML", 400) from error
    if len({tag for tag, _ in found}) != len(found):
        raise Refused("request", "an element of the XML occurs twice", 400)
    return found


def _access(action: str, host: KnownHost) -> Access:
    if action in METADATA_ACTIONS and host.service in _METADATA_SERVICES:
        return "metadata"
    if action.startswith(_READ):
        return "read"
    return "delete" if action.startswith(_DELETE) else "write"


def _resource(parameters: Mapping[str, Any]) -> str:
    for key, value in parameters.items():
        if isinstance(value, str) and re.search(r"(?:Id|Name|Arn)(?:\.\d+)?$", key) and not key.startswith(("ImageId", "Filter")):
            return value
    return ""


def assumed_role(request: ApiRequest, action: str, answer: bytes) -> tuple[str, str] | None:
    """Access key id and account that an answer of AssumeRole (or its web identity form) hands out, or None."""
    if not action.startswith("AssumeRole"):
        return None
    role = dict(parse_qsl(request.body.decode("utf-8", "replace"))).get("RoleArn", "")
    key = re.search(rb"<AccessKeyId>([A-Z0-9]+)</AccessKeyId>", answer)
    parts = role.split(":")
    return (key[1].decode(), parts[4]) if key and len(parts) == 6 else None
