"""A real HTTP proxy on loopback, in a process of its own: proxy.py, with a password and TLS if a test wants them."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from support.process import ServerProcess

USER, PASSWORD = "keyrack", "p/w:1"
_PROGRAM = Path(__file__).parents[1] / "servers" / "http_proxy.py"
_TUNNEL = re.compile(r"CONNECT ([^ ]+) ")


@dataclass(frozen=True)
class ProxyInTest:
    """A running proxy.

    Attributes:
        url: the setting that leads to it, without credentials.
        ca_file: the authority of its certificate, where it has one.
        process: it.
    """

    url: str
    ca_file: Path | None
    process: ServerProcess

    @property
    def with_credentials(self) -> str:
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{USER}:{PASSWORD.replace('/', '%2F').replace(':', '%3A')}@{rest}"

    @property
    def tunnels(self) -> list[str]:
        """Hosts and ports to which it has connected, each as often as it did; known once a tunnel has been closed."""
        return _TUNNEL.findall(self.process.log())


@contextmanager
def http_proxy(folder: Path, *, login: bool = False, tls: bool = False) -> Iterator[ProxyInTest]:
    """Run one until the block ends."""
    words = ["--hostname", "127.0.0.1", "--port", "0", "--num-workers", "1", "--num-acceptors", "1"]
    ca_file = None
    if login:
        words += ["--basic-auth", f"{USER}:{PASSWORD}"]
    if tls:
        ca_file = folder / "proxy-ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(ca_file)
        made = authority.issue_cert("127.0.0.1")
        made.private_key_pem.write_to_path(folder / "proxy-key.pem")
        for each in made.cert_chain_pems:
            each.write_to_path(folder / "proxy.pem", append=True)
        words += ["--key-file", str(folder / "proxy-key.pem"), "--cert-file", str(folder / "proxy.pem")]
    with ServerProcess([sys.executable, _PROGRAM, *words]) as process:
        yield ProxyInTest(f"{'https' if tls else 'http'}://127.0.0.1:{process.ready['port']}", ca_file, process)
