"""An origin's Cloudflare Tunnel: the machine dials out, so that it needs neither a public address nor an open port."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_cloudflare as cloudflare


@dataclass(frozen=True)
class OriginTunnelArgs:
    """Arguments of :class:`OriginTunnel`."""

    account_id: str
    zone_id: str
    zone_name: str
    """Cloudflare zone of the origin's names."""
    label: str
    """The workload's label, ``<workload>-<tenant>``."""
    generation: int
    http_port: int | None = None
    """Port on the machine that serves HTTP and WebSocket; None where it serves neither."""
    tcp_port: int | None = None
    """Port on the machine that serves raw TCP."""


class OriginTunnel(pulumi.ComponentResource):
    """A remotely configured tunnel with its names: ``<label>-<n>.origins.<zone>`` and ``tcp-<label>-<n>.origins.<zone>``.

    Example::

        tunnel = OriginTunnel("origin", OriginTunnelArgs(account, zone_id, "example.com", "web-acme", 3, http_port=8080))
        machine = SpotMachine("machine", SpotMachineArgs(..., user_data=render(tunnel.token)))
    """

    tunnel_id: pulumi.Output[str]
    token: pulumi.Output[str]
    """What ``cloudflared tunnel run`` needs; a secret."""
    origin: str | None
    """URL of the HTTP origin."""
    tcp_origin: str | None
    """Host name of the TCP origin; the tunnel's ingress names the port."""

    def __init__(self, name: str, args: OriginTunnelArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:tunnel:OriginTunnel", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        host = f"{args.label}-{args.generation}.origins.{args.zone_name}"
        routes: dict[str, tuple[str, str]] = {}
        if args.http_port is not None:
            routes["http"] = (host, f"http://localhost:{args.http_port}")
        if args.tcp_port is not None:
            routes["tcp"] = (f"tcp-{host}", f"tcp://localhost:{args.tcp_port}")

        tunnel = cloudflare.ZeroTrustTunnelCloudflared(
            f"{name}-tunnel", account_id=args.account_id, name=f"spotlane-{args.label}-{args.generation}", config_src="cloudflare", opts=child
        )
        cloudflare.ZeroTrustTunnelCloudflaredConfig(
            f"{name}-config",
            account_id=args.account_id,
            tunnel_id=tunnel.id,
            config=cloudflare.ZeroTrustTunnelCloudflaredConfigConfigArgs(
                ingresses=[
                    *(cloudflare.ZeroTrustTunnelCloudflaredConfigConfigIngressArgs(hostname=host, service=service) for host, service in routes.values()),
                    cloudflare.ZeroTrustTunnelCloudflaredConfigConfigIngressArgs(service="http_status:404"),
                ]
            ),
            opts=child,
        )
        for protocol, (hostname, _) in routes.items():
            cloudflare.DnsRecord(
                f"{name}-{protocol}",
                zone_id=args.zone_id,
                name=hostname,
                type="CNAME",
                content=pulumi.Output.concat(tunnel.id, ".cfargotunnel.com"),
                proxied=True,
                ttl=1,  # automatic, the only value that a proxied record takes
                opts=child,
            )
        token = cloudflare.get_zero_trust_tunnel_cloudflared_token_output(
            account_id=args.account_id, tunnel_id=tunnel.id, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        self.tunnel_id = tunnel.id
        self.token = pulumi.Output.secret(token.apply(lambda found: found.token))
        self.origin = f"https://{routes['http'][0]}" if "http" in routes else None
        self.tcp_origin = routes["tcp"][0] if "tcp" in routes else None
        self.register_outputs({"tunnel_id": self.tunnel_id, "token": self.token, "origin": self.origin, "tcp_origin": self.tcp_origin})
