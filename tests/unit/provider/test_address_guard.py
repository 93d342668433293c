import pytest

from keyrack.provider.address_guard import ForbiddenAddressError, check_address

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::5", "64:ff9b::808:808"]
RELAXABLE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1",
    "100.64.0.1", "100.127.255.255", "::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
]  # fmt: skip
NEVER = [
    "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.9",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "ff02::1", "100::1", "fec0::1",
    "2001::1", "2001:1::1", "2001:20::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1",
    "::127.0.0.1", "::808:808", "64:ff9b:1::808:808", "64:ff9b::", "5f00::1", "4000::1",
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd00:ec2::254%eth0",
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "::ffff:0.0.0.0",
    "", "localhost", "127.1", "0177.0.0.1", "1.2.3.4.5", "127.0.0.1 ", "[::1]",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("allow_insecure", [False, True])
def test_public_addresses_may_be_called(address: str, *, allow_insecure: bool) -> None:
    check_address(address, allow_insecure=allow_insecure)


@pytest.mark.parametrize("address", RELAXABLE)
def test_private_addresses_need_the_deployment_setting(address: str) -> None:
    check_address(address, allow_insecure=True)
    with pytest.raises(ForbiddenAddressError):
        check_address(address, allow_insecure=False)


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_insecure", [False, True])
def test_no_setting_allows_what_is_no_authorization_server(address: str, *, allow_insecure: bool) -> None:
    with pytest.raises(ForbiddenAddressError):
        check_address(address, allow_insecure=allow_insecure)


def test_a_public_address_in_ipv4_mapped_form_is_refused_without_the_setting() -> None:
    with pytest.raises(ForbiddenAddressError):
        check_address("::ffff:8.8.8.8", allow_insecure=False)
