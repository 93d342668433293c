"""Which names there are is said where somebody gives one that there is not; a setting that is named exists."""

import re
from pathlib import Path

import pytest

from keyrack.settings import described
from keyrack.store.quota_usage import Quota
from keyrack.validation.known_names import close_to, listed

SOURCE = Path(__file__).parents[2] / "src" / "keyrack"


def test_names_are_listed_in_order_once_and_not_without_end() -> None:
    assert listed(["owner", "admin", "owner"]) == "there are admin, owner"
    assert listed([]) == "there are none"
    assert listed(f"role-{number:03}" for number in range(50)).endswith("role-029 and 20 more")
    assert len(listed(["x" * 1000])) < 150


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("tenants.audit.gett", "tenants.audit.get"),
        ("Tenants.Audit.Get", "tenants.audit.get"),
        ("tenants.oauthClients.get", "tenants.oauth_clients.get"),
        ("sandwich", None),
        ("tenants.audit.get" * 100, None),
    ],
)
def test_the_name_that_is_probably_meant(name: str, meant: str | None) -> None:
    assert close_to(name, ("tenants.audit.get", "tenants.oauth_clients.get")) == meant


def test_every_setting_that_the_code_names_exists() -> None:
    named = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"KEYRACK_[A-Z][A-Z_]*[A-Z]", path.read_text("utf-8"))
    }
    assert {name for name in named - set(described()) if name not in {"KEYRACK_QUOTA", "KEYRACK_CONFIG"}} == set()
    quotas = {f"KEYRACK_QUOTA_{quota.value.upper()}" for quota in Quota if quota is not Quota.document_bytes}
    assert quotas | {"KEYRACK_QUOTA_DOCUMENT_MEGABYTES"} <= set(described())
