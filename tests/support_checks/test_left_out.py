"""What an ordinary run leaves out is run by `make proofs`, and so by CI."""

import re
from pathlib import Path

from support.proofs import ONLY_WHEN_NAMED

ROOT = Path(__file__).parents[2]


def test_make_proofs_runs_what_make_test_leaves_out() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (listed,) = re.findall(r"^PROOFS := (.*)$", makefile, re.MULTILINE)
    paths = [Path(word) for word in listed.split()]
    assert sorted(path.name for path in paths) == sorted(ONLY_WHEN_NAMED)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert "make test" in (ROOT / ".ci/run").read_text()
    assert "\nmake proofs" in (ROOT / ".ci/run").read_text()
