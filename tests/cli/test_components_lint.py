"""`keyrack components lint`: what the API would say of a component.json, without a server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.components import load_descriptor
from support.keyrack_processes import command_environment, run_command

UNREACHABLE = "postgresql://a:canary@127.0.0.1:1/x"


def linted(tmp_path: Path, content: str | bytes, *words: str) -> "subprocess.CompletedProcess[str]":
    file = tmp_path / "component.json"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    nowhere = tmp_path / "no-home"
    return run_command(nowhere, "components", "lint", str(file), *words, KEYRACK_DATABASE_URL=UNREACHABLE)


def odd(**oauth2: Any) -> dict[str, Any]:
    raw = load_descriptor("pizza-van") | {"useOauthClient": True}
    raw["credentials"]["oauth2"] |= oauth2
    return raw


def test_nothing_wrong_is_exit_0(tmp_path: Path) -> None:
    done = linted(tmp_path, json.dumps(load_descriptor("pizza-van")))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}/component.json: 0 errors, 0 warnings\n"
    done = linted(tmp_path, json.dumps(load_descriptor("pizza-van")), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"errors": [], "warnings": []})


def test_warnings_are_exit_0_and_errors_exit_1(tmp_path: Path) -> None:
    done = linted(tmp_path, json.dumps(odd()))
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "warning: /useOauthClient: is not read; useOAuthClient is probably meant",
        f"{tmp_path}/component.json: 0 errors, 1 warning",
    ]
    done = linted(tmp_path, json.dumps(odd(token_uri="")))
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith("error: /credentials/oauth2/token_uri: token_uri is required")
    assert done.stdout.splitlines()[-1].endswith(": 1 error, 1 warning")


def test_json_has_objects_as_an_answer_of_the_api_has_them(tmp_path: Path) -> None:
    done = linted(tmp_path, json.dumps(odd(token_uri="ftp://x")), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [each["source"] for each in found["errors"]] == [{"pointer": "/credentials/oauth2/token_uri"}]
    assert [each["source"] for each in found["warnings"]] == [{"pointer": "/useOauthClient"}]
    assert {tuple(each) for part in found.values() for each in part} == {("detail", "source")}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            '{"title": "a",}',
            "error: the file is not JSON: Expecting property name enclosed in double quotes at line 1,",
        ),
        ('{"a": 1, "a": 2}', 'error: the file has the member "a" twice in one object'),
        (b'{"a": "\xff"}', "error: the file is not UTF-8 (byte 7)"),
        ('{"a": NaN}', "error: the file has NaN, which JSON does not allow as a number"),
        ('{"a": "\\u0000"}', "error: the file contains a NUL character"),
        ("[" * 63 + "]" * 63, "error: the file is nested deeper than 61 levels"),
        ('"x"', "error: the file: must be an object, not a string"),
        (b" " * (1 << 20) + b"{}", "error: the file is larger than 1 MiB, which no request may be"),
    ],
    ids=["not JSON", "twice", "not UTF-8", "NaN", "NUL", "deep", "no object", "large"],
)
def test_what_no_request_could_hold_is_an_error(tmp_path: Path, content: str | bytes, told: str) -> None:
    done = linted(tmp_path, content)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(told), done.stdout
    assert done.stdout.endswith(": 1 error, 0 warnings\n")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    done = run_command(tmp_path, "components", "lint", str(tmp_path / "none.json"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"keyrack: No such file or directory: {tmp_path}/none.json\n"


def test_what_a_file_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    done = linted(tmp_path, json.dumps({"envVars": {"\x1b[31m\n": {"requird": True}}}))
    assert (done.returncode, done.stdout.count("\n")) == (0, 2)
    assert "\x1b" not in done.stdout


def test_standard_input_can_be_linted(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "keyrack", "components", "lint", "-"],
        input=json.dumps(odd()),
        env=command_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "-: 0 errors, 1 warning")
