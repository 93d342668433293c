"""Makes TLS settings that show a client's certificate (RFC 8705), one for each certificate.

Connections are kept by these settings, and so never shared by clients with different certificates.
"""

import os
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.wire import ClientCertificate
from keyrack.provider.trust import Authorities

_MOST = 100
"""Each takes most of a megabyte, for the authorities that are trusted."""


class ClientCertificates:
    """TLS settings by certificate, the last used ones.

    Args:
        authorities: whom to trust.
    """

    def __init__(self, authorities: Authorities) -> None:
        self._authorities = authorities
        self._known: OrderedDict[tuple[str, ClientCertificate], ssl.SSLContext] = OrderedDict()

    def settings(self, certificate: ClientCertificate, tenant_id: str) -> ssl.SSLContext:
        """Return the settings of a tenant's connections that show a certificate.

        Raises:
            ValidationFailed: the certificate cannot be used; nothing of it is in the error.
        """
        place = (tenant_id, certificate)
        found = self._known.get(place)
        if found is None:
            found = self._known[place] = _with_certificate(self._authorities.new_context(), certificate)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        self._known.move_to_end(place)
        return found


def _with_certificate(context: ssl.SSLContext, certificate: ClientCertificate) -> ssl.SSLContext:
    context.set_alpn_protocols(["http/1.1"])
    text = f"{certificate.key.reveal().strip()}\n{certificate.chain.strip()}\n"
    failed = True
    with suppress(ssl.SSLError, OSError, ValueError), _file_with(text.encode()) as path:
        context.load_cert_chain(path, password=lambda: "")  # or OpenSSL asks at the terminal
        failed = False
    if failed:  # raised outside: what is chained to it may show the key
        raise ValidationFailed(Problem("The client's certificate and its key cannot be used for TLS."))
    return context


@contextmanager
def _file_with(content: bytes) -> Iterator[str]:
    """Yield the path of a file for the moment: OpenSSL takes keys from files only. In memory, where there is a way."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            os.write(number, content)
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    with tempfile.TemporaryDirectory(prefix="keyrack-") as folder:  # which nobody else may enter
        path = os.path.join(folder, "certificate")  # noqa: PTH118 - OpenSSL takes texts
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
        yield path
