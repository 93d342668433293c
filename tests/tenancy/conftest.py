"""One installation for all tests of this folder that put it back as it was."""

from collections.abc import AsyncIterator

import pytest

from support.app import BASE, settings_for, world
from support.tenancy.stage import Stage, build_stage


@pytest.fixture(scope="package")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    settings = settings_for(
        tmp_path_factory.mktemp("tenancy"), allow_insecure_providers="true", public_url=BASE, wrong_keys_limit="0"
    )
    async with world(settings) as made:
        with await build_stage(made) as built:
            yield built
