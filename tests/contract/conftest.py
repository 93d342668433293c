"""Fixtures of the contract's tests."""

import pytest

from support.app import TenantInTest, World


@pytest.fixture
def acme(keyrack: World) -> TenantInTest:
    """One of the tenants of an own installation."""
    return keyrack.tenants["Acme"]
