"""The Kivera layer: every cloud API call passes a rule engine that allows, denies and records.

Two modes: ``kivera``, a Kivera endpoint with its CA and an identity; ``embedded``, the inline proxy of ``policies/proxy``. Both are an HTTPS proxy to a client,
so that the stacks set the same arguments; there is no third mode, and no way without a proxy. It makes no resource of its own; it gives each provider what
it needs, and fails where there is no proxy to go through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

import pulumi

KIVERA_PORT = 8080
NO_PROXY = "localhost,127.0.0.1"
"""Set, never inherited: ``NO_PROXY=.amazonaws.com`` would pass the proxy by. Without it Pulumi's own loopback calls would go to the proxy. No spaces."""


Mode = Literal["kivera", "embedded"]


class NoInlineProxy(ValueError):
    """There is no proxy to go through; without it there is no cloud call. The message says which setting is missing."""


@dataclass(frozen=True)
class KiveraArgs:
    """Where the rule engine listens."""

    mode: Mode
    """``kivera``: a Kivera endpoint (its proxy port is 8080); ``embedded``: the inline proxy. `http://` in either case: grpc-go refuses `https://` proxies."""
    endpoint: pulumi.Input[str]
    """``http://<principal>:<key>@<host>:<port>``; a secret, as it carries the caller's key."""
    ca_bundle: pulumi.Input[str]
    """File of the public roots and the proxy's CA, on the machine that runs the engine."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], mode: Mode = "embedded") -> KiveraArgs:
        """The proxy that the engine's own environment names: in mode ``kivera`` by ``KIVERA_ENDPOINT``, ``KIVERA_IDENTITY`` and ``KIVERA_IDENTITY_KEY`` and
        ``KIVERA_CA_CERT``, else by ``HTTPS_PROXY`` and ``SSL_CERT_FILE``. Raises :class:`NoInlineProxy`."""
        if mode == "kivera":
            # Both first: an output that is made and then dropped by an error is waited for until the end of the program.
            kivera, roots = _kivera_endpoint(environment), _kivera_bundle(environment)
            return cls(mode, pulumi.Output.secret(kivera), roots)
        endpoint = environment.get("HTTPS_PROXY") or environment.get("https_proxy")
        if not endpoint or not urlsplit(endpoint).hostname:
            raise NoInlineProxy("HTTPS_PROXY is not set: set it to http://<principal>:<key>@<host>:<port> (`spotlane local env` prints it)")
        bundle = environment.get("SSL_CERT_FILE") or environment.get("AWS_CA_BUNDLE")
        if not bundle:
            raise NoInlineProxy("SSL_CERT_FILE is not set: set it to the bundle of the public roots and the proxy's CA ($SPOTLANE_HOME/proxy/bundle.pem)")
        return cls(mode, pulumi.Output.secret(endpoint), bundle)


def _kivera_endpoint(environment: Mapping[str, str]) -> str:
    endpoint = urlsplit(environment.get("KIVERA_ENDPOINT", ""))
    if endpoint.scheme != "http" or not endpoint.hostname:
        raise NoInlineProxy("KIVERA_ENDPOINT is not set to http://<host>:<port> (Kivera's proxy listens on 8080)")
    if endpoint.username or endpoint.password:
        raise NoInlineProxy("KIVERA_ENDPOINT holds a credential: give it as KIVERA_IDENTITY and KIVERA_IDENTITY_KEY")
    identity, key = environment.get("KIVERA_IDENTITY"), environment.get("KIVERA_IDENTITY_KEY")
    if not identity or not key:
        raise NoInlineProxy("KIVERA_IDENTITY and KIVERA_IDENTITY_KEY are not set: Kivera's rules go by the identity that a caller authenticates as")
    return f"http://{quote(identity, safe='')}:{quote(key, safe='')}@{endpoint.hostname}:{endpoint.port or KIVERA_PORT}"


def _kivera_bundle(environment: Mapping[str, str]) -> str:
    bundle = environment.get("KIVERA_CA_CERT")
    if not bundle:
        raise NoInlineProxy("KIVERA_CA_CERT is not set: name a file of the public roots and Kivera's CA (its management port serves it at /pub.cert)")
    return bundle


def environment_of(endpoint: str, ca_bundle: str) -> dict[str, str]:
    """What a process needs so that its cloud calls go through the proxy: plugins (Go) read the first half, Python clients the second too."""
    return {
        "HTTPS_PROXY": endpoint,
        "https_proxy": endpoint,
        "HTTP_PROXY": endpoint,
        "http_proxy": endpoint,
        "NO_PROXY": NO_PROXY,
        "no_proxy": NO_PROXY,
        "SSL_CERT_FILE": ca_bundle,
        "AWS_CA_BUNDLE": ca_bundle,
        "REQUESTS_CA_BUNDLE": ca_bundle,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": ca_bundle,
    }


class Kivera(pulumi.ComponentResource):
    """The layer as the stacks see it.

    Example::

        layer = Kivera("kivera", KiveraArgs.from_environment(os.environ))
        aws.Provider("aws", region=region, https_proxy=layer.https_proxy, no_proxy=layer.no_proxy, custom_ca_bundle=layer.ca_bundle)
    """

    https_proxy: pulumi.Output[str]
    """For the AWS provider's ``https_proxy``; the other providers take the proxy from the environment only. A secret."""
    no_proxy: pulumi.Output[str]
    """For the AWS provider's ``no_proxy``."""
    ca_bundle: pulumi.Output[str]
    """For the AWS provider's ``custom_ca_bundle``."""
    environment: pulumi.Output[dict[str, str]]
    """For the processes of Azure's, Google's and Cloudflare's providers. A secret."""

    def __init__(self, name: str, args: KiveraArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:index:Kivera", name, {"mode": args.mode}, opts)
        self.https_proxy = pulumi.Output.secret(args.endpoint)
        self.no_proxy = pulumi.Output.from_input(NO_PROXY)
        self.ca_bundle = pulumi.Output.from_input(args.ca_bundle)
        self.environment = pulumi.Output.all(self.https_proxy, self.ca_bundle).apply(lambda both: environment_of(str(both[0]), str(both[1])))
        self.register_outputs({"mode": args.mode, "caBundle": self.ca_bundle})
