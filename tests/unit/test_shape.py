"""What is said of a text that is none of those allowed: which are, and never the text itself."""

from typing import Any, Literal

import pytest
from msgspec import Struct, UnsetType

from keyrack.errors import Problem
from keyrack.model.tenancy import WorkspaceType
from keyrack.validation.check import misshapen

WRONG = "canary-7b1f"


@pytest.mark.parametrize(
    "expected",
    [WorkspaceType, WorkspaceType | UnsetType, WorkspaceType | None, Literal["full", "limited"]],
)
def test_a_wrong_choice_is_told_by_what_is_allowed(expected: Any) -> None:
    assert misshapen(WRONG, expected, "/data/type") == [Problem("must be one of full, limited", "/data/type")]
    assert misshapen("full", expected) == []


def test_a_member_with_a_wrong_choice_is_pointed_to() -> None:
    class Workspace(Struct):
        type: WorkspaceType = WorkspaceType.full

    assert misshapen({"type": WRONG}, Workspace, "/data") == [Problem("must be one of full, limited", "/data/type")]
