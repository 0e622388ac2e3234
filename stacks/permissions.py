"""``python -m stacks.permissions aws|aws-tenant|azure|gcp|cloudflare``: what an identity of the platform needs, as JSON that the cloud's own tool takes."""

from __future__ import annotations

import json
import sys

from components.tenant import platform_permissions

PRINTED = {
    "aws": platform_permissions.aws,
    "aws-tenant": platform_permissions.tenants_role,
    "azure": platform_permissions.azure,
    "gcp": platform_permissions.gcp,
    "cloudflare": platform_permissions.cloudflare,
}


def main(argv: list[str]) -> int:
    """Exit code 2 for an unknown cloud."""
    if len(argv) != 1 or argv[0] not in PRINTED:
        sys.stderr.write(f"error: name one of {', '.join(PRINTED)}\n")
        return 2
    sys.stdout.write(json.dumps(PRINTED[argv[0]](), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
