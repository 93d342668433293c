import socket

import pytest

from keyrack.provider.address_guard import ForbiddenAddressError
from keyrack.provider.resolver import GuardedResolver, guarded_socket_factory
from support.raw_provider import FakeResolver


async def test_public_answers_are_passed_on_unchanged() -> None:
    inner = FakeResolver(["8.8.8.8", "2606:4700:4700::1111"])
    answer = await GuardedResolver(inner, allow_insecure=False).resolve("idp.example", 443)
    assert [(result["host"], result["port"]) for result in answer] == [("8.8.8.8", 443), ("2606:4700:4700::1111", 443)]


@pytest.mark.parametrize("forbidden", ["127.0.0.1", "::1", "10.0.0.1", "fe80::1%eth0", "::ffff:127.0.0.1", "0.0.0.0"])
async def test_one_forbidden_address_refuses_the_whole_answer(forbidden: str) -> None:
    inner = FakeResolver(["8.8.8.8", forbidden])
    with pytest.raises(ForbiddenAddressError):
        await GuardedResolver(inner, allow_insecure=False).resolve("idp.example", 443)


async def test_the_deployment_setting_allows_private_answers_but_no_metadata_service() -> None:
    resolver = GuardedResolver(FakeResolver(["127.0.0.1"], ["169.254.169.254"]), allow_insecure=True)
    assert len(await resolver.resolve("idp.example")) == 1
    with pytest.raises(ForbiddenAddressError):
        await resolver.resolve("idp.example")


async def test_a_name_without_addresses_does_not_resolve() -> None:
    with pytest.raises(OSError, match="no addresses"):
        await GuardedResolver(FakeResolver([]), allow_insecure=False).resolve("idp.example")


async def test_closing_closes_the_resolver_inside() -> None:
    inner = FakeResolver([])
    await GuardedResolver(inner, allow_insecure=False).close()
    assert inner.closed


@pytest.mark.parametrize("address", [("127.0.0.1", 80), ("::1", 80, 0, 0)])
def test_no_socket_is_made_for_a_forbidden_address(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    info = (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)
    with pytest.raises(ForbiddenAddressError):
        guarded_socket_factory(allow_insecure=False)(info)
    with guarded_socket_factory(allow_insecure=True)(info) as made:
        assert made.family == family
