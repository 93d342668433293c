"""Says which certificate authorities servers' certificates are judged by: the system's, and the operator's own."""

import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from keyrack.errors import ConfigurationError

_SETTING = "KEYRACK_CA_FILE"


@dataclass(frozen=True, slots=True)
class Authorities:
    """Whom to trust.

    Attributes:
        own: the operator's authorities in PEM, trusted beside the system's; empty: none.
        only: whose authorities are trusted instead of all others; for tests.
    """

    own: str = ""
    only: ssl.SSLContext | None = None

    def new_context(self) -> ssl.SSLContext:
        """Return TLS settings of a client that nobody else has."""
        if self.only is not None:
            return ssl.create_default_context(cadata=b"".join(self.only.get_ca_certs(binary_form=True)))
        context = ssl.create_default_context()
        if self.own:
            context.load_verify_locations(cadata=self.own)
        return context

    def context(self) -> ssl.SSLContext:
        """Return TLS settings that all connections without a certificate of their own share."""
        return self.only or _shared(self)


@cache
def _shared(authorities: Authorities) -> ssl.SSLContext:
    context = authorities.new_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def authorities_of(file: Path | None) -> Authorities:
    """Read the setting `KEYRACK_CA_FILE`.

    Args:
        file: certificates of authorities in PEM, one after another; None: those of the system alone.

    Raises:
        ConfigurationError: the file cannot be read, or has no certificate.
    """
    if file is None:
        return Authorities()
    try:
        text = file.expanduser().read_text("ascii")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except OSError as error:  # includes `ssl.SSLError`
        reason = "it has no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
    except ValueError:  # includes UnicodeDecodeError
        reason = "it is not PEM"
    else:
        return Authorities(text)
    raise ConfigurationError(f"{_SETTING}: {file} cannot be used: {reason}")
