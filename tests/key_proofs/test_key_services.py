"""Each key service, through its own client, against what answers as the service does: context, wrong keys, outages."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx2
import pytest
from moto.server import ThreadedMotoServer

from keyrack.crypto.kek.chain import KeyChain
from keyrack.crypto.kek.sources import open_keys
from keyrack.errors import ConfigurationError, KeyServiceUnavailable, WrongKey
from support.app import settings_for
from support.google_kms import GoogleKms, google_kms
from support.openbao import OpenBao

CONTEXT, MATERIAL = b"tenant and data key", b"m" * 32
GOOGLE_KEY = "projects/project/locations/global/keyRings/ring/cryptoKeys/keyrack"


@dataclass
class Service:
    """A key service with two keys.

    Attributes:
        key, other: sources, as they are set.
        newer: makes a new version of the first key.
        stop: makes the service unreachable.
        deny: makes it refuse.
        more: further settings.
    """

    key: str
    other: str
    newer: Callable[[], None] | None
    stop: Callable[[], None]
    deny: Callable[[], None]
    more: dict[str, str]


@contextmanager
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "canary")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
        client = boto3.client("kms", region_name="eu-central-1")
        made = [client.create_key()["KeyMetadata"] for _ in range(2)]

        def forget_keys() -> None:  # moto decrypts with a disabled key all the same
            httpx2.post(f"http://127.0.0.1:{port}/moto-api/reset").raise_for_status()

        yield Service(f"aws-kms:{made[0]['Arn']}", f"aws-kms:{made[1]['Arn']}", None, server.stop, forget_keys, {})
    finally:
        server.stop()


@contextmanager
def google(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Service]:
    with google_kms() as kms:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(kms.credentials(folder / "account.json")))
        kms.versions = {GOOGLE_KEY: [os.urandom(32)], f"{GOOGLE_KEY}-2": [os.urandom(32)]}

        def refuse(status: int, word: str) -> Callable[[], None]:
            return lambda: setattr(kms, "answers", (status, word))

        yield Service(
            f"google-kms:{GOOGLE_KEY}",
            f"google-kms:{GOOGLE_KEY}-2",
            lambda: kms.versions[GOOGLE_KEY].append(os.urandom(32)),
            refuse(503, "UNAVAILABLE"),
            refuse(403, "PERMISSION_DENIED"),
            {"google_kms_endpoint": kms.base},
        )
        assert kms.refusals == []


@contextmanager
def transit(monkeypatch: pytest.MonkeyPatch, bao: OpenBao, *, derived: bool) -> Iterator[Service]:
    names = (f"a{os.urandom(4).hex()}", f"b{os.urandom(4).hex()}")
    for name in names:
        bao.ask("POST", f"transit/keys/{name}", {"derived": derived})
    policy = "".join(
        f'path "transit/{verb}/{name}" {{ capabilities = ["update"] }}\n'
        for name in names
        for verb in ("encrypt", "decrypt")
    )
    bao.ask("PUT", "sys/policies/acl/keyrack", {"policy": policy})
    token = bao.ask("POST", "auth/token/create", {"policies": ["keyrack"], "ttl": "1h"})["auth"]["client_token"]
    monkeypatch.setenv("BAO_ADDR", bao.base)
    monkeypatch.setenv("BAO_TOKEN", token)
    yield Service(
        f"openbao:transit/{names[0]}",
        f"openbao:transit/{names[1]}",
        lambda: bao.ask("POST", f"transit/keys/{names[0]}/rotate"),
        lambda: monkeypatch.setenv("BAO_ADDR", "http://127.0.0.1:9"),
        lambda: bao.ask("POST", "auth/token/revoke", {"token": token}),
        {},
    )


@pytest.fixture(params=["aws", "google", "openbao", "openbao derived"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Service]:
    if request.param == "aws":
        made = aws(monkeypatch)
    elif request.param == "google":
        made = google(monkeypatch, tmp_path)
    else:
        bao = request.getfixturevalue("openbao")
        made = transit(monkeypatch, bao, derived=request.param.endswith("derived"))
    with made as opened:
        yield opened


@pytest.fixture
async def opened(service: Service, tmp_path: Path) -> AsyncIterator[Callable[..., KeyChain]]:
    chains: list[KeyChain] = []

    def open_them(*sources: str) -> KeyChain:
        chains.append(open_keys(settings_for(tmp_path, key_sources=",".join(sources), **service.more)))
        return chains[-1]

    yield open_them
    for chain in chains:
        await chain.close()


async def test_a_data_key_opens_with_its_key_and_context_only(
    service: Service, opened: Callable[..., KeyChain]
) -> None:
    keys = opened(service.key)
    kek_id, wrapped = await keys.wrap(MATERIAL, CONTEXT)
    assert keys.current == kek_id
    assert len(kek_id) <= 255
    assert MATERIAL not in wrapped
    assert await opened(service.key).unwrap(kek_id, wrapped, CONTEXT) == MATERIAL
    assert await opened(service.other, service.key).unwrap(kek_id, wrapped, CONTEXT) == MATERIAL, "all unwrap"
    with pytest.raises(WrongKey):
        await opened(service.key).unwrap(kek_id, wrapped, b"another context")
    with pytest.raises(WrongKey, match="no key at hand"):
        await opened(service.other).unwrap(kek_id, wrapped, CONTEXT)
    with pytest.raises((WrongKey, KeyServiceUnavailable)):  # whatever the database says; moto: AccessDeniedException
        await opened(service.other).unwrap(kek_id.replace(service.key, service.other), wrapped, CONTEXT)


async def test_a_newer_version_is_noticed_and_the_older_still_unwraps(
    service: Service, opened: Callable[..., KeyChain]
) -> None:
    keys = opened(service.key)
    before, wrapped = await keys.wrap(MATERIAL, CONTEXT)
    if service.newer is None:  # AWS has new versions under the same name, and decrypts with all of them
        return
    service.newer()
    await keys.refresh()
    assert keys.current != before
    assert keys.current.startswith(service.key)
    assert await keys.unwrap(before, wrapped, CONTEXT) == MATERIAL


async def test_a_service_that_refuses_says_nothing_of_the_data_key(
    service: Service, opened: Callable[..., KeyChain]
) -> None:
    keys = opened(service.key)
    kek_id, wrapped = await keys.wrap(MATERIAL, CONTEXT)
    service.deny()
    with pytest.raises(KeyServiceUnavailable) as raised:
        await keys.unwrap(kek_id, wrapped, CONTEXT)
    assert service.key in (raised.value.cause or "")
    assert "canary" not in str(raised.value.for_operators)
    assert raised.value.problem.detail == KeyServiceUnavailable().problem.detail, "an answer names no key"


async def test_a_service_that_is_gone_is_no_wrong_key(service: Service, opened: Callable[..., KeyChain]) -> None:
    kek_id, wrapped = await opened(service.key).wrap(MATERIAL, CONTEXT)
    service.stop()
    keys = opened(service.key)
    with pytest.raises(KeyServiceUnavailable):
        await keys.unwrap(kek_id, wrapped, CONTEXT)
    with pytest.raises(KeyServiceUnavailable):
        await keys.wrap(MATERIAL, CONTEXT)


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ("aws-kms:alias/keyrack", "ARN"),
        ("google-kms:keyrack", "projects/"),
        ("openbao:keyrack", "MOUNT/KEY"),
        ("gcp:x", "no such source"),
        ("file,,azure", "no such source"),
    ],
)
def test_a_source_that_cannot_be_is_refused(tmp_path: Path, sources: str, says: str) -> None:
    given: dict[str, Any] = {"key": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="}
    sources = sources.replace("file", "env")
    with pytest.raises(ConfigurationError, match=says):
        open_keys(settings_for(tmp_path, key_sources=sources, **given))


def test_the_fake_of_google_refuses_what_nobody_signed() -> None:
    with google_kms() as kms:
        assert isinstance(kms, GoogleKms)
        status, _ = kms.answer(f"/v1/{GOOGLE_KEY}:encrypt", "Bearer x", {})
        assert status == 401
        kms.refusals.clear()
