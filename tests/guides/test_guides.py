"""The guides run one after another on one installation, as a reader follows them, and print what they say."""

import re
from pathlib import Path

import pytest

from support import node
from support.keyrack_processes import Served
from support.pages import Step, follow, run_steps, steps_of
from support.process import free_port

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
ORDER = (
    "platform-operator.md",
    "component-developer.md",
    "tenant-admin.md",
    "integrator.md",
    "running-component.md",
    "auth-clients.md",
)
"""As docs/README.md lists them; each goes on where those before it ended."""

PREAMBLE = steps_of(GUIDES / ORDER[0])[0].commands.partition("\n}\n")[0] + "\n}\n"
"""What makes the shell end at the first error, and shows what the server says."""

OF_THE_SHELL = {"PWD"}
SETS = (r"(?:^|[\s;(])([A-Za-z_]\w*)=", r"\bfor (\w+) in\b", r"--(?:arg|slurpfile) (\w+)")
"""How a shell or a jq program gets its variables."""
FILE = re.compile(r"<<'(\w+)'\n.*?^\1$", re.MULTILINE | re.DOTALL)
"""The text of a file that a guide writes: nothing of the shell's is in it."""


def test_the_guides_run_one_after_another_on_one_installation(tmp_path: Path) -> None:
    path = {"PATH": f"{Path(node.executable()).parent}:/usr/local/bin:/usr/bin:/bin"}
    ports = {"8000": free_port(), "9000": free_port()}
    follow([GUIDES / page for page in ORDER], tmp_path, path, ports, options=())


def test_the_order_is_that_of_the_index_and_leaves_none_out() -> None:
    index = (GUIDES.parent / "README.md").read_text("utf-8")
    assert re.findall(r"^\| .* \| \[.*\]\(guides/([\w-]+\.md)\) \|$", index, re.MULTILINE) == list(ORDER)
    assert sorted(ORDER) == sorted(path.name for path in GUIDES.glob("*.md"))


@pytest.mark.parametrize("page", ORDER)
def test_a_guide_runs_something_and_checks_what_it_prints(page: str) -> None:
    steps = steps_of(GUIDES / page)
    assert len(steps) >= 3
    assert sum(bool(step.expected) for step in steps) >= 3
    kinds = re.findall(r"^```(.+)", (GUIDES / page).read_text("utf-8"), re.MULTILINE)
    assert set(kinds) <= {"sh", "text", "console"}, "all that a reader has at hand is set by the guide itself"


@pytest.mark.parametrize("page", ORDER)
def test_a_guide_sets_what_it_uses_in_a_shell_that_ends_at_the_first_error(page: str) -> None:
    steps = steps_of(GUIDES / page)
    assert steps[0].commands.startswith(PREAMBLE)
    known = set(OF_THE_SHELL)
    for step in steps:
        known |= {name for pattern in SETS for name in re.findall(pattern, step.commands)}
        used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", FILE.sub("", step.commands)))
        assert used - known == set(), f"{page}:\n{step.commands}"


def test_a_refusal_is_shown_and_ends_the_shell(served: Served, tmp_path: Path) -> None:
    asked = f'ID="$(api -u nobody@acme.example:kr_wrong "{served.base}/v2/users/me" | jq -r .data.id)"\necho went on\n'
    ran = run_steps([Step(PREAMBLE + asked), Step("echo and on\n")], tmp_path, {}, {}, options=())
    assert ran.status != 0
    assert "".join(ran.printed).strip() == ""
    assert '"code":"unauthorized"' in ran.errors
    assert "401" in ran.errors
