"""The units of systemd and the configuration of nginx, as those programs read them, and nginx in front of a Keyrack."""

import json
import os
import re
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from support.deploy_programs import DEPLOY, program, run
from support.keyrack_processes import Served, bootstrapped, run_command, serving
from support.process import ServerProcess, free_port, guarded
from support.waits_and_faults import wait_until

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROXY = DEPLOY / "nginx/keyrack.conf"
HOST = "keyrack.example.com"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    command = shutil.which("true")
    assert command is not None
    for unit in UNITS:  # the program that they start is not on this machine
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/keyrack/bin/keyrack", command))
    done = run(program("systemd-analyze", part="systemd"), "verify", "--man=no", *sorted(tmp_path.iterdir()))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_units_give_away_little(unit: Path) -> None:
    analyze = program("systemd-analyze", part="systemd")
    done = run(analyze, "security", "--offline=yes", "--threshold=20", "--no-pager", unit)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_exists(unit: Path, tmp_path: Path) -> None:
    started = re.findall(r"(?m)^ExecStart(?:Pre)?=/opt/keyrack/bin/keyrack (.+)$", unit.read_text())
    assert started
    for words in started:
        told = run_command(
            tmp_path, *(word for word in words.split() if not word.isdigit() and word != "--port"), "--help"
        )
        assert told.returncode == 0, told.stderr


def test_no_hole_is_found_in_the_proxys_configuration() -> None:
    done = run(program("gixy"), PROXY)
    assert done.returncode == 0, done.stdout


@dataclass(frozen=True)
class Proxied:
    """A Keyrack behind nginx."""

    served: Served
    home: Path
    port: int
    folder: Path
    trust: ssl.SSLContext


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    nginx = program("nginx", part="nginx")
    folder = tmp_path_factory.mktemp("nginx")
    home = tmp_path_factory.mktemp("behind")
    authority = trustme.CA()
    made = authority.issue_cert(HOST)
    made.cert_chain_pems[0].write_to_path(folder / "fullchain.pem")
    made.private_key_pem.write_to_path(folder / "privkey.pem")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    port, plain = free_port(), free_port()
    settings = {"KEYRACK_TRUSTED_PROXIES": "127.0.0.1", "KEYRACK_PUBLIC_URL": f"https://{HOST}"}
    with serving(home, bootstrapped(home), **settings) as served:
        text = PROXY.read_text()
        for old, new in (
            ("127.0.0.1:8000", f"127.0.0.1:{served.port}"),
            ("listen 443", f"listen 127.0.0.1:{port}"),
            ("listen [::]:443", f"listen [::1]:{port}"),
            ("listen 80", f"listen 127.0.0.1:{plain}"),
            ("listen [::]:80", f"listen [::1]:{plain}"),
            ("/etc/ssl/keyrack", str(folder)),
            ("/var/log/nginx", str(folder)),
        ):
            assert old in text, old
            text = text.replace(old, new)
        if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
            text = re.sub(r"(?m)^\s*listen \[::1\].*\n", "", text)
        temporary = "\n".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {folder}/pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ {temporary}\n{text}\n}}\n"
        )
        tried = run(nginx, "-t", "-c", folder / "nginx.conf")
        assert tried.returncode == 0, tried.stderr
        with guarded([str(nginx), "-c", str(folder / "nginx.conf")], {}) as server:
            wait_until(lambda: is_listening(port, server))
            yield Proxied(served, home, port, folder, trust)


def is_listening(port: int, server: ServerProcess) -> bool:
    assert server.is_running(), server.log()
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def ask(proxied: Proxied, method: str, path: str, *, local: str = "127.0.0.1", **more: Any) -> httpx2.Response:
    """Send a request to nginx, as to its name, from a loopback address."""
    transport = httpx2.HTTPTransport(verify=proxied.trust, local_address=local, http2=False)
    with httpx2.Client(transport=transport, trust_env=False) as client:
        return client.request(
            method,
            f"https://127.0.0.1:{proxied.port}{path}",
            headers={"host": HOST, **more.pop("headers", {})},
            extensions={"sni_hostname": HOST},
            **more,
        )


def test_requests_pass_and_leave_no_query_in_the_log(proxied: Proxied) -> None:
    answer = ask(proxied, "GET", "/callback/oauth2?code=secret-code&state=secret-state")
    assert answer.status_code == 400, answer.text
    assert "x-request-id" in answer.headers
    log = proxied.folder / "keyrack.log"
    wait_until(lambda: "GET /callback/oauth2 400" in log.read_text())  # nginx writes the line after it has answered
    assert answer.headers["x-request-id"] in log.read_text()
    assert "secret-" not in log.read_text()


def test_what_callers_say_of_their_address_is_not_believed(proxied: Proxied) -> None:
    name, key = proxied.served.admin
    spoofed = {"x-forwarded-for": "203.0.113.7", "forwarded": "for=203.0.113.7", "x-real-ip": "203.0.113.7"}
    tenant = proxied.served.first["tenant_id"]
    answer = ask(
        proxied,
        "POST",
        "/v2/contracts",
        local="127.0.0.2",
        auth=(name, key),
        headers=spoofed,
        json={"data": {"type": "contract", "attributes": {"name": "Through the proxy"}}},
    )
    assert answer.status_code == 201, answer.text
    listed = run_command(proxied.home, "audit", "list", "--tenant", tenant, "--json")
    made = [event for event in json.loads(listed.stdout) if event["action"] == "contract.create"]
    assert [event["address"] for event in made] == ["127.0.0.2"]


def test_a_body_that_is_too_large_is_refused_by_keyrack(proxied: Proxied) -> None:
    answer = ask(proxied, "POST", "/v2/contracts", auth=proxied.served.admin, content=b'"' + b"a" * (3 << 19) + b'"')
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["status"] == "413"
