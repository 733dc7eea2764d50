"""This machine's certificate authority, which only the local cluster's images trust."""

import datetime
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcluster.paths import cache_dir
from localcluster.processes import locks

_AUTHORITY: Final = "localcluster test authority"
_YEARS: Final = datetime.timedelta(days=3650)
_DAY: Final = datetime.timedelta(days=1)
_RENEW_BEFORE: Final = datetime.timedelta(days=60)


@dataclass(frozen=True)
class KeyPair:
    """The PEM files of a certificate and of its key."""

    certificate: Path
    """The certificate."""
    key: Path
    """The private key; only its owner can read the file."""


def ensure(folder: Path | None = None, common_name: str = _AUTHORITY) -> KeyPair:
    """Return the authority; it is made once and stays in the cache, as images trust it.

    One that an image's program is to trust besides needs another name: OpenSSL looks for issuers by
    their names, and tries one.
    """
    folder = folder or cache_dir() / "authority"
    pair = KeyPair(folder / "ca.crt", folder / "ca.key")
    folder.mkdir(parents=True, exist_ok=True)
    with locks.file_lock(folder / ".lock"):
        if not _is_usable(pair):
            _create_authority(pair, common_name)
    return pair


def _create_authority(pair: KeyPair, common_name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    builder = _builder(name, name, key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    builder = builder.add_extension(_usage(authority=True), critical=True)
    _save(pair, builder.sign(key, hashes.SHA256()), key)


def issue(authority: KeyPair, folder: Path, names: Iterable[str]) -> KeyPair:
    """Write a server certificate for DNS names and IP addresses to ``folder``."""
    names = tuple(names)
    alternatives = x509.SubjectAlternativeName([_alternative_name(name) for name in names])
    pair = KeyPair(folder / "server.crt", folder / "server.key")
    _sign(authority, pair, _name(names[0]), ExtendedKeyUsageOID.SERVER_AUTH, alternatives)
    return pair


def issue_client(authority: KeyPair, folder: Path, user: str, group: str) -> KeyPair:
    """Write the certificate of a client that is ``user`` in ``group`` to ``folder``.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates
    """
    pair = KeyPair(folder / "client.crt", folder / "client.key")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
            x509.NameAttribute(NameOID.COMMON_NAME, user),
        ]
    )
    _sign(authority, pair, subject, ExtendedKeyUsageOID.CLIENT_AUTH)
    return pair


def _sign(
    authority: KeyPair,
    pair: KeyPair,
    subject: x509.Name,
    usage: x509.ObjectIdentifier,
    *extensions: x509.ExtensionType,
) -> None:
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    issuer_key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey), authority.key  # noqa: S101
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(subject, issuer.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    _save(pair, builder.sign(issuer_key, hashes.SHA256()), key)


def _is_usable(pair: KeyPair) -> bool:
    if not (pair.certificate.exists() and pair.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    now = datetime.datetime.now(datetime.UTC)
    return certificate.not_valid_after_utc - now > _RENEW_BEFORE


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _YEARS)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _save(pair: KeyPair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pair.key.parent.mkdir(parents=True, exist_ok=True)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    descriptor = os.open(pair.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
