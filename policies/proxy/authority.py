"""The proxy's certificate authority: good for the clouds' domains and the platform's own hosts only, and the certificates it issues."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DOMAINS = ("amazonaws.com", "azure.com", "microsoftonline.com", "windows.net", "googleapis.com", "cloudflare.com")
_LIFE = timedelta(days=30)
_RENEW_BEFORE = timedelta(days=7)
_LEAF_LIFE = timedelta(days=2)
_CONTEXTS_KEPT = 256
"""Hosts whose certificates are kept: a bucket's name makes a host, so a client can think of as many as it likes."""


class Authority:
    """The CA in ``proxy/`` of one state directory: ``ca.pem``, ``ca.key`` (mode 0600), ``bundle.pem`` (public roots and the CA). Made at the first start, and
    anew where the one that stands isn't good for exactly ``hosts``, which are the platform's own; who trusts it reads the bundle again then."""

    def __init__(self, directory: Path, hosts: Iterable[str] = ()) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        names = (*DOMAINS, *sorted({host for host in hosts if not host.endswith(tuple(f".{domain}" for domain in DOMAINS))}))
        self._certificate, self._key = _load(directory, names) or _make(directory, names)
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: OrderedDict[str, tuple[ssl.SSLContext, datetime]] = OrderedDict()
        ours = self._certificate.public_bytes(serialization.Encoding.PEM)
        _write(directory / "bundle.pem", Path(certifi.where()).read_bytes() + b"\n" + ours, 0o644)

    def context(self, host: str) -> ssl.SSLContext:
        """A server's TLS context for ``host``, kept until a certificate's last day or until many others were asked for since."""
        now = datetime.now(UTC)
        kept = self._contexts.get(host)
        if kept and kept[1] > now:
            self._contexts.move_to_end(host)
            return kept[0]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2", "http/1.1"])
        pem = self._issue(host, now) + self._leaf_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(pem)
            file.flush()
            context.load_cert_chain(file.name)
        self._contexts[host] = (context, now + _LEAF_LIFE - timedelta(days=1))
        self._contexts.move_to_end(host)
        if len(self._contexts) > _CONTEXTS_KEPT:
            self._contexts.popitem(last=False)
        return context

    def _issue(self, host: str, now: datetime) -> bytes:
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]))
            .issuer_name(self._certificate.subject)
            .public_key(self._leaf_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(min(now + _LEAF_LIFE, self._certificate.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._leaf_key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return leaf.public_bytes(serialization.Encoding.PEM)


def _load(directory: Path, names: tuple[str, ...]) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    try:
        certificate = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    except (OSError, ValueError):
        return None
    fresh = certificate.not_valid_after_utc - _RENEW_BEFORE > datetime.now(UTC)
    permitted = certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    fits = [one.value for one in permitted] == list(names)
    return (certificate, key) if fresh and fits and isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key() else None


def _make(directory: Path, names: tuple[str, ...]) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Spotlane"), x509.NameAttribute(NameOID.COMMON_NAME, f"Spotlane inline proxy {now:%Y-%m-%d %H:%M}")]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(name) for name in names], None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(directory / "ca.key", key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), 0o600)
    _write(directory / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return certificate, key


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign, key_cert_sign=sign, crl_sign=sign, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _write(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    temporary.replace(path)
