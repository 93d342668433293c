"""What the API prints: pieces of documents as contract section 4 has them, to compare whole answers, and metrics."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

PLURAL = {
    "tenant": "tenants",
    "contract": "contracts",
    "workspace": "workspaces",
    "user": "users",
    "team": "teams",
    "component": "components",
    "credential": "credentials",
    "flow": "flows",
}
ID = re.compile(r"[0-9a-f]{24}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def identifier(resource_type: str, resource_id: str) -> dict[str, str]:
    """`Id(t)` of the skeletons."""
    return {"id": resource_id, "type": resource_type}


def rel(resource_type: str, resource_id: str) -> dict[str, Any]:
    """`Rel(t)` of the skeletons."""
    path = f"/v2/{PLURAL[resource_type]}/{resource_id}"
    return {"data": identifier(resource_type, resource_id), "links": {"self": path}}


def relation(resource_type: str, ids: Sequence[str], path: str) -> dict[str, Any]:
    """A relationship to many resources, with its link."""
    return {"data": [identifier(resource_type, each) for each in sorted(ids)], "links": {"self": path}}


def paging(page: int, per_page: int, total: int) -> dict[str, int]:
    """The `meta` of a paged list."""
    return {"page": page, "per_page": per_page, "total": total, "total_pages": -(-total // per_page)}


def ids(response: httpx2.Response) -> list[str]:
    """The ids in a list, in its order."""
    assert response.status_code == 200, response.text
    return [entry["id"] for entry in response.json()["data"]]


def faults(response: httpx2.Response) -> set[str]:
    """What an error document points at, when all its errors are of one status and code."""
    entries: Sequence[Mapping[str, Any]] = response.json()["errors"]
    assert {entry["status"] for entry in entries} == {str(response.status_code)}
    assert len({entry["code"] for entry in entries}) == 1
    return {str(value) for entry in entries for value in entry["source"].values()}


def numbers(text: str) -> dict[str, float]:
    """Return the value of every sample by its name with labels, as written."""
    samples = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in samples}
