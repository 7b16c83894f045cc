"""Work in several processes: the same results in the same order, and a clear word when a process dies."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from irn.errors import IrnError
from irn.io.memory import available_memory
from irn.io.parallel import available_cores, map_images, map_in_order
from irn.records import ImageRecord, Shard, rows_of


def slow_for_even(item: int) -> int:
    """Even items take longer, so that they end after their successors."""
    time.sleep(0.05 * (item % 2 == 0))
    return item * item


def table(item: int) -> np.ndarray:
    return np.random.default_rng(item).random((50, 40))


def stumble(item: int, at: int) -> int:
    if item == at:
        raise IrnError(f"image {item}: something is wrong")
    return item


def die(item: int, at: int) -> int:
    if item == at:
        os._exit(9)
    return item


def name(item: int) -> str:
    return f"image_{item}"


def process(record: ImageRecord) -> tuple[str, int]:
    time.sleep(0.05)
    return record.image_id, os.getpid()


@pytest.mark.parametrize(("gigabytes", "processes"), [(10, 3), (2.5, 2), (1.5, 1), (0.1, 1)])
def test_no_more_processes_than_memory_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gigabytes: float, processes: int
) -> None:
    records = [ImageRecord(str(side), Path(), side, side, "") for side in (10, 1000, 20, 30, 40, 50, 60, 70, 80)]
    monkeypatch.setattr("irn.io.parallel.available_memory", lambda: int(gigabytes * 1e9))
    found = list(map_images(process, records, 3, lambda record: 1000 * record.height * record.width))
    assert [image_id for image_id, _ in found] == [record.image_id for record in records]
    assert len({pid for _, pid in found}) <= processes
    said = capsys.readouterr().out
    assert (said != "") == (processes < 3)
    assert processes == 3 or said.startswith(
        f"{processes} processes instead of 3: the largest image takes 0.9 GiB in each"
    )


def test_available_memory_is_what_a_control_group_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, outer = tmp_path / "outer/inner", tmp_path / "outer"
    inner.mkdir(parents=True)
    # A process's own pages count; what the system may drop, such as cached files, does not.
    for folder, limit, held in ((inner, "max", 0), (outer, str(80 * 2**20), 30 * 2**20)):
        (folder / "memory.max").write_text(f"{limit}\n", encoding="ascii")
        (folder / "memory.stat").write_text(f"anon {held}\nfile {2**40}\n", encoding="ascii")
    monkeypatch.setattr("irn.io.memory._groups", lambda: [inner, outer])
    assert available_memory() == 50 * 2**20


def test_available_memory_is_at_most_what_slurm_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    free = available_memory()
    assert free is None or 0 < free <= psutil.virtual_memory().total
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "16")
    assert available_memory() == 16 * 2**20


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_order(workers: int) -> None:
    assert list(map_in_order(slow_for_even, range(20), workers, name)) == [item * item for item in range(20)]


def test_results_are_equal_in_this_process_and_in_others() -> None:
    for one, other in zip(map_in_order(table, range(9), 0, name), map_in_order(table, range(9), 2, name), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("workers", [0, 2])
def test_no_item(workers: int) -> None:
    assert list(map_in_order(table, [], workers, name)) == []


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at", [0, 5, 11])
def test_an_exception_comes_through_after_the_results_before_it(workers: int, at: int) -> None:
    results = map_in_order(partial(stumble, at=at), range(12), workers, name)
    found = []
    with pytest.raises(IrnError, match=f"^image {at}: something is wrong$"):
        found.extend(results)
    assert found == list(range(at))


@pytest.mark.parametrize("at", [0, 11])
def test_a_worker_that_is_killed(at: int) -> None:
    with pytest.raises(IrnError, match=rf"\bimage_{at}\b") as caught:
        list(map_in_order(partial(die, at=at), range(12), 2, name))
    assert "\n" not in str(caught.value)
    assert "--workers" in str(caught.value)


WAITS = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from test_parallel import map_in_order, pid_of, name
for pid in map_in_order(pid_of, range(8), 2, name):
    print(pid, flush=True)
time.sleep(60)
"""


def pid_of(item: int) -> int:
    return os.getpid()


def test_workers_end_when_the_stage_is_killed() -> None:
    command = [sys.executable, "-c", WAITS, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stage:
        assert stage.stdout is not None
        workers = {int(stage.stdout.readline()) for _ in range(3)}
        stage.kill()
    until = time.monotonic() + 20
    while workers and time.monotonic() < until:
        time.sleep(0.1)
        workers = {
            pid for pid in workers if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        }
    assert not workers


def test_few_results_are_held_however_many_items_there_are() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = map_in_order(table, items(), 2, name)
    next(results)
    assert len(taken) < 50
    # Stopped early, it ends its processes.
    results.close()


def test_cores() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 30])
def test_shards_hold_each_row_once(count: int) -> None:
    rows = list("abcdefghij")
    shards = [rows_of(Shard(index, count), rows) for index in range(count)]
    assert sorted(row for shard in shards for row in shard) == rows
    assert shards[0] == [rows[index] for index in range(0, len(rows), count)]
