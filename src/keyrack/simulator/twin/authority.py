"""A certificate authority of twins: for the hosts that they are taken for, and for their clients (RFC 8705)."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = timedelta(days=1)
_CLIENT = "Keyrack twin's client"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a client shows in TLS.

    Attributes:
        chain: in PEM.
        key: its private key in PEM.
        der: the certificate as TLS carries it.
    """

    chain: str
    key: str = field(repr=False)
    der: bytes = field(repr=False)


class Authority:
    """A certificate authority of its own, which nobody trusts but who is told to; its key never leaves the process.

    Args:
        folder: where certificates are written, with the key that all of them have; a private one.
    """

    def __init__(self, folder: Path) -> None:
        self._key, self._host_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keyrack twin")])
        self._folder = folder
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._certificate = _built(self._name, self._name, self._key.public_key(), authority=self._key).sign(
            self._key, hashes.SHA256()
        )

    @property
    def trusting(self) -> ssl.SSLContext:
        """What a client needs that trusts this authority, and no other."""
        return ssl.create_default_context(cadata=self._certificate.public_bytes(Encoding.PEM).decode())

    @cached_property
    def issued(self) -> ClientCertificate:
        """A client's certificate that this authority has issued (RFC 8705 section 2.1)."""
        key, subject = ec.generate_private_key(ec.SECP256R1()), _named(_CLIENT)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        made = _built(subject, self._name, key.public_key(), authority=self._key).add_extension(usage, critical=False)
        return _shown_by_client(made.sign(self._key, hashes.SHA256()), key)

    @cached_property
    def self_signed(self) -> ClientCertificate:
        """A client's certificate that signs itself, and was given to this server (RFC 8705 section 2.2)."""
        key, subject = ec.generate_private_key(ec.SECP256R1()), _named(_CLIENT)
        made = _built(subject, subject, key.public_key(), authority=key).sign(key, hashes.SHA256())
        return _shown_by_client(made, key)

    def serving(self) -> ssl.SSLContext:
        """Return what a server needs that is whatever host it is taken for, and asks clients for their certificates.

        Whoever shows one that is neither by this authority nor `self_signed` does not get in. Without one they do, as
        not every client has one; whether this one has to is the twin's to say.
        """

        def named(connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
            connection.context = self._of_host(host or "localhost")

        context = self._asking()
        context.sni_callback = named
        return context

    def _of_host(self, host: str) -> ssl.SSLContext:
        known = self._contexts.get(host)
        if known is None:
            built = _built(_named("twin"), self._name, self._host_key.public_key(), authority=self._key, host=host)
            private = self._host_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            file = self._folder / "host.pem"
            file.write_bytes(private + built.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
            known = self._asking()
            known.load_cert_chain(file)
            self._contexts[host] = known
        return known

    def _asking(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_OPTIONAL
        trusted = self._certificate.public_bytes(Encoding.PEM).decode() + self.self_signed.chain
        context.load_verify_locations(cadata=trusted)
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _built(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    authority: ec.EllipticCurvePrivateKey,
    host: str | None = None,
) -> x509.CertificateBuilder:
    """Return a certificate that is still to be signed, with the authority's key; its own one if that is the subject."""
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )
    if host is None:
        return built
    return built.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)


def _shown_by_client(made: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> ClientCertificate:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return ClientCertificate(made.public_bytes(Encoding.PEM).decode(), private, made.public_bytes(Encoding.DER))
