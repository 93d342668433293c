"""The plots show what was measured; no figure is judged here."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from bench.drawing import drawn

ROOT = Path(__file__).parents[2]
_SVG = "{http://www.w3.org/2000/svg}"


def test_a_greater_value_is_drawn_higher_and_further_right() -> None:
    lines = {"a <b>": [(1.0, 10.0), (8.0, 100.0)], "other": [(1.0, 1.0), (8.0, 100.0)]}
    picture = ET.fromstring(drawn("Title", "connections", "ms", lines, (1, 8)))
    (first, last), (lower, _) = [
        [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        for line in picture.iter(f"{_SVG}polyline")
    ]
    assert first[0] < last[0]
    assert last[1] < first[1] < lower[1]
    texts = [text.text for text in picture.iter(f"{_SVG}text")]
    assert {"Title", "connections", "ms", "a <b>", "other", "1", "8", "10", "100"} <= set(texts)


def test_names_at_the_same_place_are_moved_apart() -> None:
    lines = {"one": [(1.0, 10.0), (8.0, 100.0)], "two": [(1.0, 1.0), (8.0, 100.0)]}
    picture = ET.fromstring(drawn("Title", "x", "y", lines))
    one, two = (float(text.attrib["y"]) for text in picture.iter(f"{_SVG}text") if text.text in lines)
    assert abs(one - two) > 10


def test_one_command_draws_all(tmp_path: Path) -> None:
    sizes = ["--connections", "1", "3", "--stored", "1000", "1100", "--seconds", "0.1", "--runs", "1"]
    command = [sys.executable, "-m", "bench.plots", "--database", "sqlite", *sizes, "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    names = ["cost-by-secrets", "hot-read-p99", "hot-read-rate", "ordinary-read-p99", "ordinary-read-rate"]
    assert sorted(path.stem for path in tmp_path.iterdir()) == names
    for path in tmp_path.iterdir():
        lines = list(ET.parse(path).getroot().iter(f"{_SVG}polyline"))
        assert len(lines) >= 2, path
        assert all(len(line.attrib["points"].split()) == 2 for line in lines), path
