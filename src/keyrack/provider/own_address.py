"""Asks the installation's own public address whether it leads to Keyrack, without following anything."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

_LONGEST = 16 * 1024


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """What came of asking.

    Attributes:
        fault: why nothing came; None: something did.
        status: of the answer.
        echoed: the answer bears the id that the request had, as each of Keyrack's does.
        certificate_ends: when the server's certificate ends; None without TLS.
    """

    fault: str | None = None
    status: int = 0
    echoed: bool = False
    certificate_ends: datetime | None = None


async def ask_own_address(base: str, request_id: str, tls: ssl.SSLContext, seconds: float) -> OwnAnswer:
    """Ask for `/healthz` below an address.

    Args:
        base: the public address, http or https; a private one may be asked, as it is the operator's own.
        request_id: sent as `x-request-id`.
        tls: what a certificate is judged by.
        seconds: how long it may take.
    """
    parts = urlsplit(base)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    path = f"{parts.path.rstrip('/')}/healthz"
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls if secure else None, limit=_LONGEST)
            try:
                given = writer.get_extra_info("peercert") or {}
                head = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nx-request-id: {request_id}\r\n"
                writer.write(f"{head}Connection: close\r\n\r\n".encode("ascii"))
                await writer.drain()
                answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            finally:
                writer.close()
    except ssl.SSLCertVerificationError as error:
        return OwnAnswer(f"its certificate is not accepted: {error.verify_message}")
    except ssl.SSLError:
        return OwnAnswer("no TLS connection can be made")
    except TimeoutError:
        return OwnAnswer("it gave no answer in time")
    except (OSError, UnicodeError) as error:
        return OwnAnswer(f"it cannot be reached: {getattr(error, 'strerror', None) or 'there is no such host'}")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return OwnAnswer("what it answers is not HTTP")
    status = answer.split(" ", 2)[1:2]
    ends = given.get("notAfter")
    return OwnAnswer(
        status=int(status[0]) if status and status[0].isdigit() else 0,
        echoed=f"x-request-id: {request_id}" in answer.lower(),
        certificate_ends=None if ends is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC),
    )
