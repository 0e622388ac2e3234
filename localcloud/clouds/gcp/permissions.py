"""Who may do what: the permissions that a call needs, and whether the service account whose token it carries has them in the project.

Sources: the "IAM permissions" of each method's reference page (Compute Engine v1, IAM v1, Cloud KMS v1). Calls with the caller's own token are the platform's,
who may do everything; what a service account calls and isn't listed here is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from localcloud.clouds.documents import Documents, Json
from localcloud.clouds.exchange import HttpRequest
from localcloud.clouds.gcp.errors import GoogleError

TOKEN = "ya29.c."
"""What tokens of impersonated accounts begin with; the account's address follows."""

_VERBS = {"GET": "get", "POST": "create", "PATCH": "update", "PUT": "update", "DELETE": "delete"}
_POLICY_CHANGES = frozenset({"subnetworks", "firewalls", "routers"})
"""Collections whose members are part of their network's policy."""
_WITHOUT_SETTER = {"expandIpCidrRange": "subnetworks", "setPrivateIpGoogleAccess": "subnetworks"}
_ALL = frozenset({"roles/owner", "roles/editor"})


def account_of(request: HttpRequest) -> str | None:
    """The address of the account whose token the request carries, None for the platform's own."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    return token.removeprefix(TOKEN) if token.startswith(TOKEN) else None


def check(documents: Documents, account: str, request: HttpRequest) -> None:
    """Refuses a call for which the account has not every permission. Raises :class:`GoogleError`."""
    path = request.path.strip("/")
    project = _project(path)
    granted = _granted(documents, project, account)
    for permission in required(request):
        if granted is not None and permission not in granted:
            raise GoogleError(403, f"Required '{permission}' permission for '{path.partition('projects/')[1]}{path.partition('projects/')[2]}'")


def required(request: HttpRequest) -> Iterator[str]:
    """The permissions of a call. Raises :class:`GoogleError` for one that is not known."""
    service = request.host.partition(".")[0]
    parts = request.path.strip("/").split("/")
    after = parts[parts.index("projects") + 2 :] if "projects" in parts else []
    if service in ("compute", "www"):
        yield from _compute(request, after)
    elif service == "iam" and after[:1] == ["serviceAccounts"]:
        verb = after[1].partition(":")[2] if len(after) > 1 else ""
        yield f"iam.serviceAccounts.{verb or ('list' if request.method == 'GET' and len(after) == 1 else _VERBS[request.method])}"
    elif service == "cloudkms" and len(after) > 2:
        names = [part.partition(":")[0] for part in after]
        collection, verb = names[2 + (len(names) - 3) // 2 * 2], after[-1].partition(":")[2]
        listing = request.method == "GET" and len(after) % 2 == 1
        yield f"cloudkms.{collection}.{verb or ('list' if listing else _VERBS[request.method])}"
    else:
        raise GoogleError(403, f"The caller does not have permission: {request.method} {request.host}{request.path}")


def _compute(request: HttpRequest, after: list[str]) -> Iterator[str]:
    if after[:1] == ["aggregated"] and len(after) == 2:
        yield f"compute.{after[1]}.list"
        return
    scope, rest = ("global", after[1:]) if after[:1] == ["global"] else (after[0] if len(after) > 2 else "global", after[2:] if len(after) > 2 else after)
    collection, _, verb = (*rest, "", "", "")[:3]
    if collection == "operations":
        yield f"compute.{scope.rstrip('s')}Operations.get"
    elif collection == "images":
        return  # of public projects: everybody's
    elif collection == "instances" and request.method == "POST" and not verb:
        yield from _insert(request.json())
    elif verb:
        yield f"compute.{_WITHOUT_SETTER.get(verb, collection)}.{verb}"
    else:
        listing = request.method == "GET" and len(rest) == 1
        yield f"compute.{collection}.{'list' if listing else _VERBS[request.method]}"
        if collection in _POLICY_CHANGES and request.method != "GET":
            yield "compute.networks.updatePolicy"


def _insert(body: Json) -> Iterator[str]:
    yield "compute.instances.create"
    for disk in body.get("disks") or []:
        if parameters := disk.get("initializeParams"):
            yield "compute.disks.create"
            if parameters.get("labels"):
                yield "compute.disks.setLabels"
    for interface in body.get("networkInterfaces") or []:
        yield "compute.subnetworks.use"
        if interface.get("accessConfigs"):
            yield "compute.subnetworks.useExternalIp"
    for field, permission in (("labels", "setLabels"), ("metadata", "setMetadata"), ("tags", "setTags"), ("serviceAccounts", "setServiceAccount")):
        if body.get(field):
            yield f"compute.instances.{permission}"
    if body.get("serviceAccounts"):
        yield "iam.serviceAccounts.actAs"


def _project(path: str) -> str:
    parts = path.split("/")
    return parts[parts.index("projects") + 1] if "projects" in parts[:-1] else ""


def _granted(documents: Documents, project: str, account: str) -> frozenset[str] | None:
    """The account's permissions in a project; None: all. An account of another project has none here unless it was given some."""
    found = documents.get(f"projects/{project}")
    bindings = (found.hidden.get("policy") or {}).get("bindings", []) if found is not None else []
    roles = [binding["role"] for binding in bindings if f"serviceAccount:{account}" in binding.get("members", [])]
    if _ALL & set(roles):
        return None
    held: set[str] = set()
    for role in roles:
        document = documents.get(role)
        if document is not None and not document.body.get("deleted"):
            held.update(document.body.get("includedPermissions", []))
    return frozenset(held)
