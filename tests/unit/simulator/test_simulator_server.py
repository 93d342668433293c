import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, ConfigurationError, StateConflict
from keyrack.simulator.config import Client, SimulatorConfig, User, load_config
from keyrack.simulator.server import serve
from keyrack.simulator.state import MAX_QUEUED, Queued, State
from keyrack.simulator.testing import running_simulator
from support.waits_and_faults import until

Driver = Any

SERVE = """
import sys
from keyrack.simulator.config import SimulatorConfig
from keyrack.simulator.server import serve
serve("127.0.0.1", 0, SimulatorConfig(), lambda url: print(url, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_tells_its_address_and_ends_on_a_signal_even_while_hanging(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            base_url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{base_url}/_sim/counters") as answer:
                assert answer.status == 200
            hanging = asyncio.ensure_future(http.get(f"{base_url}/api/me?sim=latency:60000"))
            await asyncio.sleep(0.2)
            process.send_signal(number)
            async with asyncio.timeout(30):
                _, stderr = await process.communicate()
            with pytest.raises(aiohttp.ClientError):
                await hanging
        assert (process.returncode, stderr) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ConfigurationError, match="loopback only"):
        serve(host, 0, SimulatorConfig())


async def test_a_taken_port_is_said(driver: Driver) -> None:
    port = int(driver.sim.base_url.rsplit(":", 1)[1])
    with pytest.raises(ConfigurationError, match=f"port {port}"):
        async with running_simulator(port=port):
            pass


async def test_localhost_and_ipv6() -> None:
    async with running_simulator(host="localhost") as sim, aiohttp.ClientSession() as http:
        assert sim.base_url.startswith("http://localhost:")
        async with http.get(sim.base_url.replace("localhost", "127.0.0.1") + "/api/me") as answer:
            assert answer.status == 401


async def test_access_log_leaves_queries_out(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "keyrack.simulator.access"):
        await driver.http.get(f"{driver.sim.base_url}/api/me?sim=latency:1&canary=hidden")
        await until(lambda: "GET /api/me 401" in caplog.text)  # the line may follow the answer
    assert "canary" not in caplog.text


async def test_no_secret_in_reprs_or_logs(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        tokens = await driver.connect()
        await driver.refresh(tokens["refresh_token"])
    state = driver.sim.state
    printed = repr((list(state.clients.values()), state.config, list(state.book.all(lambda _token: True))))
    for secret in (driver.client_secret, tokens["access_token"], tokens["refresh_token"], "wonderland"):
        assert secret not in printed + caplog.text


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/authorize?state=\xff&client_id=simulator-client&redirect_uri=http://127.0.0.1/&response_type=code", 400),
        (
            b"/authorize?state=%ED%A0%80&client_id=simulator-client&redirect_uri=http://127.0.0.1/&response_type=code",
            302,
        ),
        (b"/authorize?client_id=%00&redirect_uri=%00", 400),
        (b"/authorize?redirect_uri=http://[&client_id=simulator-client", 400),
        (b"/authorize?sim=\xff", 400),
        (b"/authorize?sim=%ED%A0%80:1", 400),
        (b"/consent?request=\xff", 400),
        (b"/_sim/tokens?kind=\xff", 400),
        (b"/_sim/clients/%FF", 404),
        (b"/api/me?sim=latency:99999999999999999999999", 400),
    ],
)
async def test_hostile_targets_are_never_a_500(driver: Driver, target: bytes, status: int) -> None:
    host, port = driver.sim.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    assert int(answer.split(b" ", 2)[1]) == status


async def test_deep_json_is_a_400(driver: Driver) -> None:
    headers = {"Content-Type": "application/json"}
    url = f"{driver.sim.base_url}/_sim/clients"
    async with driver.http.post(url, data=b"[" * 60_000, headers=headers) as answer:
        assert answer.status == 400


def test_configuration_files(tmp_path: Path) -> None:
    toml = tmp_path / "sim.toml"
    toml.write_text(
        """
        issuer = "https://issuer.example"
        [behaviour]
        access_token_lifetime = 60
        [[users]]
        login = "bob"
        password = "b"
        [[clients]]
        client_id = "c"
        client_secret = "s"
        redirect_uris = ["https://a.example/cb"]
        [clients.behaviour]
        rotation = "strict"
        """
    )
    config = load_config(toml)
    assert config.clients[0].behaviour == {"rotation": "strict"}
    assert config.users == (User(login="bob", password=Secret("b")),)
    as_json = tmp_path / "sim.json"
    as_json.write_text(json.dumps({"clients": [{"client_id": "c", "client_secret": "s"}]}))
    assert load_config(as_json).clients[0].client_secret == Secret("s")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "sim.json"),
        ("[]", "object"),
        ('{"unknown": 1}', "unknown"),
        ('{"behaviour": {"latency": "soon"}}', "latency"),
        ('{"clients": [{"client_id": "c", "client_secret": "s", "behaviour": {"x": 1}}]}', "clients"),
        ('{"clients": [{"client_id": "c", "client_secret": 3}]}', "client_secret"),
        ('{"clients": [{"client_id": "c"}]}', "client_secret"),
        ('{"users": []}', "user"),
        ('{"max_tokens": 0}', "max_tokens"),
        ("\udcff", "sim.json"),
    ],
)
def test_a_wrong_configuration_file_says_where(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "sim.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match=place):
        load_config(path)
    with pytest.raises(ConfigurationError, match="missing"):
        load_config(tmp_path / "missing.toml")


def test_memory_is_bounded() -> None:
    state = State(SimulatorConfig(max_clients=2, max_tokens=3))
    client = Client(client_id="a", client_secret=Secret("s"))
    state.add_client(client)
    with pytest.raises(AlreadyExists):
        state.add_client(client)
    with pytest.raises(StateConflict):
        state.add_client(Client(client_id="b", client_secret=Secret("s")))
    grants = [state.book.open_grant("a", "alice", "") for _ in range(4)]
    assert [bool(grant.revoked) for grant in grants] == [True, False, False, False]
    living = state.book.issue("refresh", grants[3], "", None)
    for _ in range(10):
        spent = state.book.issue("refresh", grants[3], "", None)
        state.book.rotate(spent)
        state.book.issue("access", grants[3], "", 60)
    assert state.book.refresh(living.value) is living
    assert len(list(state.book.all(lambda _token: True))) == 1 + 3 + 3
    for _ in range(MAX_QUEUED):
        state.enqueue(Queued("token", 1, {}))
    with pytest.raises(StateConflict):
        state.enqueue(Queued("token", 1, {}))
