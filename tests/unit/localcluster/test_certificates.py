"""The certificate authority and the certificates that it signs."""

import ssl
import stat
from pathlib import Path

from cryptography import x509

from localcluster import certificates


def test_the_authority_is_made_once(tmp_path: Path) -> None:
    first = certificates.ensure(tmp_path).certificate.read_bytes()
    assert certificates.ensure(tmp_path).certificate.read_bytes() == first


def test_keys_are_private(tmp_path: Path) -> None:
    authority = certificates.ensure(tmp_path)
    server = certificates.issue(authority, tmp_path / "server", ["registry.ollama.ai"])
    for pair in (authority, server):
        assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600


def test_a_server_certificate_names_hosts_and_addresses(tmp_path: Path) -> None:
    authority = certificates.ensure(tmp_path)
    server = certificates.issue(
        authority, tmp_path / "server", ["registry.ollama.ai", "192.0.2.10"]
    )
    certificate = x509.load_pem_x509_certificate(server.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["registry.ollama.ai"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.10"]
    certificate.verify_directly_issued_by(
        x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    )
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
        server.certificate, server.key
    )
