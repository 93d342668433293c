"""Reads the certificate that a client shows in TLS, and says what is wrong with it (RFC 8705)."""

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from keyrack.crypto.secret import Secret

_MOST = 10
"""Certificates of a chain."""


class UnusableCertificateError(ValueError):
    """A text is no certificate in PEM, or cannot be used now."""


def end_of(chain: str) -> datetime:
    """Return when a certificate ends: the first of its chain, which is the client's.

    Raises:
        UnusableCertificateError: the text is no chain of certificates in PEM.
    """
    return _read(chain)[0].not_valid_after_utc


def check_certificate(chain: str, now: datetime) -> None:
    """Insist that a client can show a certificate now.

    Args:
        chain: in PEM (RFC 7468), the client's own first.
        now: the current time.

    Raises:
        UnusableCertificateError: it is none, has ended, or has not begun.
    """
    own = _read(chain)[0]
    if own.not_valid_after_utc <= now:
        raise UnusableCertificateError(f"ended at {own.not_valid_after_utc.isoformat()}")
    if own.not_valid_before_utc > now:
        raise UnusableCertificateError(f"is not valid before {own.not_valid_before_utc.isoformat()}")


def check_key(chain: str, key: Secret) -> None:
    """Insist that a private key is the one of a certificate.

    Raises:
        UnusableCertificateError: the text is no private key in PEM without a passphrase, or another one's.
    """
    try:
        found = serialization.load_pem_private_key(key.reveal().encode(), password=None)
        public = found.public_key()
        mine = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # noqa: BLE001 - of what the library raises, some is no ValueError; all may show the key
        mine = None
    if mine is None:
        raise UnusableCertificateError("is no private key in PEM without a passphrase")
    theirs = (
        _read(chain)[0]
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    if mine != theirs:
        raise UnusableCertificateError("is not the key of the certificate")


def _read(chain: str) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(chain.encode())
    except ValueError:
        found = []
    if not 1 <= len(found) <= _MOST or "PRIVATE KEY" in chain:
        raise UnusableCertificateError(f"is no chain of 1 to {_MOST} certificates in PEM, without a private key")
    return found
