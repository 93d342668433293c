"""What a page of large contracts costs: the victim's slowest read beside it, the process's memory, the loop's gap.

python -m bench.large_lists [contracts]; in process, on SQLite, in a folder of its own.
"""

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

import httpx2
from sqlalchemy import insert

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from keyrack import ids
from keyrack.store.schema import contracts
from support.app import World, settings_for, world


async def measure(keyrack: World, count: int) -> None:
    attacker, victim = keyrack.tenants["Globex"], keyrack.tenants["Acme"]
    own = {"tenant_id": attacker.id, "name": "C", "status": "active", "attributes": {}, "available_roles": []}
    async with keyrack.store.unit(attacker.id, writes=True) as unit:
        for _ in range(count):
            document = {"items": [{"n": number, "text": "some text"} for number in range(27_000)]}  # 0.9 MB
            await unit.connection.execute(insert(contracts).values(id=ids.new_id(), custom_data=document, **own))
    before = _peak_mib()
    done = False
    gaps: list[float] = []

    async def watch() -> None:
        while not done:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - began)

    async def attack() -> int:
        async with keyrack.http.stream(
            "GET", "/v2/contracts?page[size]=1000", headers=attacker.admin.headers
        ) as answer:
            return sum([len(chunk) async for chunk in answer.aiter_raw()])

    watching, attacking, reads = asyncio.create_task(watch()), asyncio.create_task(attack()), []
    while not attacking.done():
        began = time.perf_counter()
        answer: httpx2.Response = await victim.admin.get(f"/v2/contracts/{victim.contract_id}")
        answer.raise_for_status()
        reads.append(time.perf_counter() - began)
    done = True
    await watching
    megabytes = await attacking / 1e6
    print(
        f"{count} contracts, {megabytes:.0f} MB sent; victim: {len(reads)} reads, slowest {max(reads):.2f} s;", end=" "
    )
    print(f"longest gap of the loop {max(gaps):.3f} s; peak memory {before} -> {_peak_mib()} MiB")


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with world(settings_for(Path(folder), public_url="http://keyrack.test")) as keyrack:
            await measure(keyrack, int(sys.argv[1]) if len(sys.argv) > 1 else 60)


if __name__ == "__main__":
    asyncio.run(main())
