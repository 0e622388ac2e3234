"""The Kivera layer: where a client is sent, in both modes, and that there is no third."""

from __future__ import annotations

import pulumi
import pytest

from components.kivera import NO_PROXY, Kivera, KiveraArgs, NoInlineProxy, environment_of
from tests.components.declared import declared

EMBEDDED = {"HTTPS_PROXY": "http://acme:k@127.0.0.1:7702", "SSL_CERT_FILE": "/home/proxy/bundle.pem"}
KIVERA = {
    "KIVERA_ENDPOINT": "http://kivera.example:8080",
    "KIVERA_IDENTITY": "spotlane/acme",
    "KIVERA_IDENTITY_KEY": "p@ss:word",
    "KIVERA_CA_CERT": "/etc/kivera/bundle.pem",
}


@pytest.mark.parametrize("missing", EMBEDDED)
def test_without_the_embedded_proxy_there_is_no_cloud_call(missing: str) -> None:
    with pytest.raises(NoInlineProxy, match=missing):
        KiveraArgs.from_environment({key: value for key, value in EMBEDDED.items() if key != missing})


@pytest.mark.parametrize("missing", KIVERA)
def test_a_kivera_endpoint_needs_address_identity_and_ca(missing: str) -> None:
    with pytest.raises(NoInlineProxy, match=missing):
        KiveraArgs.from_environment({key: value for key, value in (EMBEDDED | KIVERA).items() if key != missing}, "kivera")


@pytest.mark.parametrize("endpoint", ["https://kivera.example:8443", "kivera.example:8080", "http://me:k@kivera.example:8080"])
def test_an_endpoint_in_another_form_is_refused(endpoint: str) -> None:
    with pytest.raises(NoInlineProxy):
        KiveraArgs.from_environment(KIVERA | {"KIVERA_ENDPOINT": endpoint}, "kivera")


def test_a_process_gets_both_spellings_and_never_an_inherited_exception() -> None:
    environment = environment_of("http://a:k@p:1", "/ca.pem")
    assert {environment[name] for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")} == {"http://a:k@p:1"}
    assert {environment[name] for name in ("NO_PROXY", "no_proxy")} == {NO_PROXY}
    assert " " not in NO_PROXY
    assert {environment[name] for name in environment if name.endswith(("FILE", "BUNDLE", "PATH"))} == {"/ca.pem"}


def test_the_layer_gives_each_provider_what_it_takes() -> None:
    def program() -> None:
        layer = Kivera("kivera", KiveraArgs.from_environment(KIVERA, "kivera"))
        pulumi.export("proxy", layer.https_proxy)
        pulumi.export("none", layer.no_proxy)
        pulumi.export("bundle", layer.ca_bundle)
        pulumi.export("environment", layer.environment)

    outputs = declared(program, "tenant.acme").outputs
    endpoint = "http://spotlane%2Facme:p%40ss%3Aword@kivera.example:8080"
    assert outputs == {
        "proxy": endpoint,
        "none": NO_PROXY,
        "bundle": "/etc/kivera/bundle.pem",
        "environment": environment_of(endpoint, "/etc/kivera/bundle.pem"),
    }
