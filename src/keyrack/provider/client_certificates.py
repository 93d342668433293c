"""Makes TLS settings that show a client's certificate (RFC 8705), one for each certificate.

Connections are kept by these settings, and so never shared by clients with different certificates.
"""

import asyncio
import os
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from weakref import WeakValueDictionary

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.wire import ClientCertificate
from keyrack.provider.trust import Authorities

_MOST = 100
"""Each takes most of a megabyte, for the authorities that are trusted."""


class ClientCertificates:
    """TLS settings by certificate, the last used ones.

    Making them takes the processor for tens of milliseconds, so a thread does it, one at a time for each tenant. A
    tenant with many certificates makes room for others: whoever has most loses the one that was used longest ago.

    Args:
        authorities: whom to trust.
        most: how many are kept.
    """

    def __init__(self, authorities: Authorities, most: int = _MOST) -> None:
        self._authorities = authorities
        self._most = most
        self._known: OrderedDict[str, OrderedDict[ClientCertificate, ssl.SSLContext]] = OrderedDict()
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def settings(self, certificate: ClientCertificate, tenant_id: str) -> ssl.SSLContext:
        """Return the settings of a tenant's connections that show a certificate.

        Raises:
            ValidationFailed: the certificate cannot be used; nothing of it is in the error.
        """
        found = self._used(certificate, tenant_id)
        if found is not None:
            return found
        turn = self._making.setdefault(tenant_id, asyncio.Lock())  # there for as long as anybody has or awaits it
        async with turn:
            found = self._used(certificate, tenant_id)
            if found is None:
                found = await asyncio.to_thread(_settings, self._authorities, certificate)
                self._keep(certificate, tenant_id, found)
            return found

    def _used(self, certificate: ClientCertificate, tenant_id: str) -> ssl.SSLContext | None:
        own = self._known.get(tenant_id)
        if own is None or certificate not in own:
            return None
        self._known.move_to_end(tenant_id)
        own.move_to_end(certificate)
        return own[certificate]

    def _keep(self, certificate: ClientCertificate, tenant_id: str, made: ssl.SSLContext) -> None:
        self._known.setdefault(tenant_id, OrderedDict())[certificate] = made
        self._known.move_to_end(tenant_id)
        if sum(map(len, self._known.values())) > self._most:
            fullest = max(self._known, key=lambda each: len(self._known[each]))  # of several the longest unused
            self._known[fullest].popitem(last=False)
            if not self._known[fullest]:
                del self._known[fullest]


def _settings(authorities: Authorities, certificate: ClientCertificate) -> ssl.SSLContext:
    return _with_certificate(authorities.new_context(), certificate)


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
