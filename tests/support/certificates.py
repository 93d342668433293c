"""Certificates of clients, issued by an authority or signed by themselves (RFC 8705)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM."""

    chain: str
    key: str

    @property
    def members(self) -> dict[str, str]:
        """Return them as members of an auth client's credentials."""
        return {"certificate": self.chain, "certificate_key": self.key}

    @property
    def end(self) -> datetime:
        return x509.load_pem_x509_certificates(self.chain.encode())[0].not_valid_after_utc


def self_signed(name: str, *, days: int = 100, begins: int = -1, passphrase: str | None = None) -> Pair:
    """Make a certificate that signs itself.

    Args:
        name: its common name.
        days: from now until it ends.
        begins: days from now until it begins.
        passphrase: of its key; None: none.
    """
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    protection = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    return Pair(made.public_bytes(Encoding.PEM).decode(), private.decode())
