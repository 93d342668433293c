"""With several server processes `/metrics` answers for all of them, and nothing is left behind."""

import time
from pathlib import Path

import httpx2

from support.documents import numbers
from support.keyrack_processes import bootstrapped, serving

ROUTE = 'keyrack_requests_total{method="GET",route="/healthz",status="200"}'
REQUESTS = 40


def test_every_process_answers_for_all_of_them(tmp_path: Path) -> None:
    first = bootstrapped(tmp_path)
    left_over = tmp_path / "metrics" / "17"
    left_over.mkdir(parents=True)
    (left_over / "owner").write_text(_dead_node())
    with serving(tmp_path, first, "--workers", "2", KEYRACK_METRICS_OPEN="true") as served:
        folder = tmp_path / "metrics" / str(served.pid)
        for _ in range(60):  # a process has a file of its own once it is up
            if len(list(folder.glob("counter_*.db"))) == 2:
                break
            served.wait("/healthz", 200)
        for _ in range(100):  # and tells the others of it every two seconds
            if numbers(httpx2.get(f"{served.base}/metrics").text)["keyrack_database_connections_most"] == 20:
                break
            time.sleep(0.1)
        before = numbers(httpx2.get(f"{served.base}/metrics").text)[ROUTE]
        for _ in range(REQUESTS):
            assert httpx2.get(f"{served.base}/healthz").status_code == 200
        told = [numbers(httpx2.get(f"{served.base}/metrics").text) for _ in range(6)]
        assert [each[ROUTE] - before for each in told] == [REQUESTS] * 6
        assert {each["keyrack_database_connections_most"] for each in told} == {20}
        assert len({path.stem.rpartition("_")[2] for path in folder.glob("counter_*.db")}) == 2
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not left_over.exists()
    assert list((tmp_path / "metrics").iterdir()) == []


def _dead_node() -> str:
    from keyrack.store.core.process_id import node_id  # noqa: PLC0415 - only used here

    return f"{node_id().rpartition('#')[0]}#{2**22 + 1}:1"
