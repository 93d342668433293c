import re
import tomllib
from pathlib import Path

from keyrack.simulator.app import create_app
from keyrack.simulator.codec import convert
from keyrack.simulator.config import DEFAULT_CLIENT, DEFAULT_USER, SimulatorConfig
from keyrack.simulator.reference import table

TEXT = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_the_table_of_behaviours_is_that_of_the_code() -> None:
    (shown,) = re.findall(r"<!-- behaviours: .* -->\n\n(.*)\n<!-- end of behaviours -->", TEXT, re.DOTALL)
    assert shown == table()


def test_the_example_configuration_is_valid_and_complete() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    raw = tomllib.loads(example)
    config = convert(raw, SimulatorConfig)
    assert set(raw) == set(SimulatorConfig.__struct_fields__)
    assert set(raw["clients"][0]) == set(type(config.clients[0]).__struct_fields__)
    assert set(raw["users"][0]) == set(type(config.users[0]).__struct_fields__)


def test_every_route_is_described() -> None:
    resources = {resource.canonical for resource in create_app(SimulatorConfig()).router.resources()}
    assert {"/token", "/_sim"} <= resources
    for route in create_app(SimulatorConfig()).router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        if path not in {"/", "/login", "/consent"} and route.method != "HEAD":
            assert re.search(rf"`[^`]*\b{route.method}\b[^`]* {re.escape(path)}`", TEXT), (route.method, path)


def test_the_default_client_and_user_are_described() -> None:
    for word in (
        DEFAULT_CLIENT.client_id,
        DEFAULT_CLIENT.client_secret.reveal(),
        DEFAULT_USER.login,
        DEFAULT_USER.password.reveal(),
    ):
        assert f"`{word}`" in TEXT
