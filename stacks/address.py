"""Stack ``address.<tenant>.<workload>``: a workload's TCP address for life."""

from __future__ import annotations

import pulumi

from components.edge.address import TcpAddress, TcpAddressArgs, own_relay_host
from stacks.settings import AddressSettings, StackName


def declare(name: StackName, settings: AddressSettings) -> None:
    """Declares the address and exports ``host`` and ``port``."""
    label = f"{name.workload}-{name.tenant}"
    args = TcpAddressArgs(
        zone=settings.zone,
        zone_id=settings.zone_id,
        label=label,
        port=settings.tcp_port,
        relay_port=settings.relay_port,
        proxy_protocol=settings.proxy_protocol,
        relay=own_relay_host(name.tenant, settings.zone) if settings.relay == "own" else None,
    )
    address = TcpAddress(label, args)
    pulumi.export("host", address.host)
    pulumi.export("port", address.port)
