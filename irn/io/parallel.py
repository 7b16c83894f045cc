"""Work on many images in several processes, in order; when a process dies, the message names the images at hand."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.util import Finalize
from typing import Any, TypeVar

from irn.errors import IrnError
from irn.io.memory import available_memory, keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

FEW = 8  # images

_function: Callable[[Any], Any]  # in a worker: what it computes


def available_cores() -> int:
    """Cores that this process may use, which a scheduler may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers(items: int) -> int:
    """Default number of processes: every core, or none when there are too few images for a process to pay."""
    return available_cores() if items >= FEW else 0


def map_images(
    function: Callable[[Any], Result],
    records: Sequence[Any],
    workers: int | None,
    need: Callable[[Any], float] | None = None,
) -> Iterator[Result]:
    """Give function(record) for each image in order, computed by `workers` processes, or by the default number.

    need: the bytes that a process takes for an image. Where the largest image leaves no memory for all processes, fewer
    are started.
    """
    workers = default_workers(len(records)) if workers is None else workers
    if need is not None and workers > 1 and records:
        workers = _that_fit(workers, max(map(need, records)))
    return map_in_order(function, records, workers, lambda record: record.image_id)


def _that_fit(workers: int, need: float) -> int:
    available = available_memory()
    fitting = workers if available is None else max(1, int(available / need))
    if fitting >= workers:
        return workers
    print(
        f"{fitting} processes instead of {workers}: the largest image takes {need / 2**30:.1f} GiB in each, and"
        f" {(available or 0) / 2**30:.1f} GiB are free; a lower dataset.max_side needs less"
    )
    return fitting


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, name: Callable[[Item], str]
) -> Iterator[Result]:
    """Give function(item) for each item in order, computed by `workers` processes, or in this one if that is below 2.

    `function` and its results travel between processes. `name` says what an item is. Raises what `function` raises, and
    IrnError with the names at hand when a process dies, as it does where memory runs out.
    """
    if workers < 2:
        yield from map(function, items)
        return
    # A forked copy of a process with threads or a GPU context can hang, so workers grow from a clean server process.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([getattr(function, "func", function).__module__])
    # The function may hold tables of all images, so it travels once to each worker, not with each item.
    try:
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(function,))
    except OSError as error:  # without /dev/shm there are no locks that processes share
        print(f"computing in one process: this system does not let several share locks ({error})", file=sys.stderr)
        yield from map(function, items)
        return
    # Where an error keeps this generator alive, a process that multiprocessing started would wait for its workers for
    # ever. 20 is before the queue that tells them to stop (10).
    end = Finalize(None, pool.shutdown, kwargs={"wait": True, "cancel_futures": True}, exitpriority=20)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(_call, item)))
            # Enough ahead to keep all workers busy, little enough to hold few results in memory.
            if len(waiting) > 3 * workers:
                yield waiting[0][1].result()
                waiting.popleft()
        while waiting:
            yield waiting[0][1].result()
            waiting.popleft()
    except BrokenProcessPool:
        at_hand = ", ".join(name(item) for item, future in waiting if not future.done() or future.exception())
        raise IrnError(
            f"a worker process died, perhaps for lack of memory, with these at hand: {at_hand};"
            " use fewer --workers or allow more memory"
        ) from None
    finally:
        end()


def _start_worker(function: Callable[[Any], Any]) -> None:
    """Keep the function for `_call`, keep the worker to one thread, and end it with the process that it works for."""
    global _function
    _function = function
    keep_freed_memory()
    # Control-C reaches all processes; the one that waits for this one says so and ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(item: Any) -> Any:
    return _function(item)
