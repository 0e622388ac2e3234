"""Any known request as a call."""

from __future__ import annotations

from domain.boundary.call import Access, Call
from policies.facts.resource import Facts
from policies.proxy import decode_aws, decode_azure, decode_gcp
from policies.proxy.hosts import KnownHost
from policies.proxy.request import ApiRequest


def decode(request: ApiRequest, host: KnownHost, principal: str) -> Call:
    """The call that the request makes, before anyone knows whose it is. Raises ``Refused``."""
    if host.kind == "aws":
        action, access, facts, resource = decode_aws.decode(request, host)
    elif host.kind == "azure":
        action, access, facts, resource = decode_azure.decode(request)
    elif host.kind == "gcp":
        action, access, facts, resource = decode_gcp.decode(request, host)
    elif host.kind == "cloudflare":
        action, access, facts, resource = _cloudflare(request)
    else:
        # Prices and tokens: no tenant's data is behind them.
        action, access, facts, resource = request.method, "metadata", Facts(scope="global"), ""
    if host.kind == "gcp" and host.service == "cloudbilling" and request.path.startswith("/v1/services"):
        access = "metadata"
    return Call(
        point="api",
        principal=principal,
        tenant="",
        cloud=host.cloud,
        service=host.service,
        action=action,
        access=access,
        scope=facts.scope,
        resource=resource,
        names=tuple(dict.fromkeys(([resource] if resource else []) + facts.names)),
        data_class=facts.data_class,
        account=facts.account,
        regions=tuple(facts.regions),
        accounts=tuple(facts.accounts),
        traits=tuple(facts.traits),
        tags=facts.tags,
        tags_path=facts.tags_path,
    )


def _cloudflare(request: ApiRequest) -> tuple[str, Access, Facts, str]:
    parts = request.segments
    facts = Facts(scope="global")
    if parts[2:3] == ["accounts"] and len(parts) > 3:
        facts.account = parts[3]
    access: Access = "read" if request.method in {"GET", "HEAD"} else "delete" if request.method == "DELETE" else "write"
    return f"{request.method} {'/'.join(parts[2:5:2])}", access, facts, parts[-1] if parts else ""
