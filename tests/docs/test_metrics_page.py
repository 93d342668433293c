"""Every metric is described in docs/metrics.md, and nothing else is."""

import re
from pathlib import Path

from keyrack import exposition

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text("utf-8")


def test_every_metric_is_described_and_no_other() -> None:
    described = re.findall(r"^\| `(keyrack_\w+)` \|", PAGE, re.MULTILINE)
    assert len(described) > 15
    assert sorted(described) == sorted(exposition.names())
