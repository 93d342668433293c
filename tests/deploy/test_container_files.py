"""The Dockerfile and the compose file, as linters and the schema of compose files read them."""

import re
from collections.abc import Sequence

import yaml

from keyrack.settings import PREFIX, Settings
from support.deploy_programs import DEPLOY, ROOT, program, run

DOCKERFILE = DEPLOY / "docker/Dockerfile"
COMPOSE = DEPLOY / "compose/compose.yaml"


def instructions() -> Sequence[tuple[str, str]]:
    """Return the Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE.read_text()).replace("\\\n", " ")
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    done = run(program("hadolint"), "--failure-threshold", "info", DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_the_image_is_made_of_hashed_wheels_in_a_stage_of_its_own() -> None:
    found = instructions()
    assert [rest for word, rest in found if word == "FROM"] == ["${BASE} AS build", "${BASE}"]
    installs = [
        part
        for word, rest in found
        if word == "RUN"
        for part in rest.split("&&")
        if " install " in part and "pip" in part
    ]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install, install
    last = found[max(n for n, (word, _) in enumerate(found) if word == "FROM") :]
    assert not any("pip" in rest for word, rest in last if word == "RUN"), "nothing is installed in the image itself"


def test_the_image_runs_as_a_user_of_its_own_by_number() -> None:
    users = [rest for word, rest in instructions() if word == "USER"]
    assert users == ["10001:10001"], "by number, so that a cluster can tell that it is not root"


def test_what_is_copied_exists_and_passes_the_ignore_file() -> None:
    allowed = {
        line[1:] for line in (DEPLOY / "docker/Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = {
        name
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    }
    assert copied == allowed
    for name in copied:
        assert (ROOT / name).exists(), name


def test_the_compose_file_has_the_form_that_compose_files_have() -> None:
    done = run(program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE)
    assert done.returncode == 0, done.stdout


def test_the_services_are_shut_in_and_wait_for_the_schema() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for name in ("upgrade", "keyrack", "worker"):
        service = services[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
    for name in ("keyrack", "worker"):
        assert services[name]["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}
    assert services["keyrack"]["ports"] == ["127.0.0.1:8000:8000"], "reachable through the machine's proxy alone"
    assert "ports" not in services["postgres"]


def test_the_example_of_settings_names_settings_that_exist() -> None:
    text = (DEPLOY / "compose/keyrack.env.example").read_text()
    names = re.findall(r"(?m)^([A-Z_]+)=", text)
    assert names
    assert {name.removeprefix(PREFIX).lower() for name in names} <= set(Settings.__dataclass_fields__)
