"""Measure every case of the benchmark in one run, each beside its naive twin (make bench).

benchmarks/bench.py                everything, into docs/benchmarks/ and the table in docs/performance.md
benchmarks/bench.py --only walk    one case, printed
benchmarks/bench.py --quick        small inputs, once each: whether all runs and agrees, not how fast
"""

import argparse
import ctypes
import json
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import distributions
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

# Nothing heavy here: every process that a case starts imports this file.
ROOT = Path(__file__).resolve().parents[1]
FOLDERS = [ROOT, ROOT / "benchmarks", ROOT / "tests"]
sys.path[:0] = [str(folder) for folder in FOLDERS]
RESULTS = ROOT / "docs/benchmarks"
DOCS = ROOT / "docs/performance.md"
MARKS = ("<!-- results: written by make bench -->", "<!-- end of results -->")
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "numba", "h5py", "pillow", "pydensecrf2", "snakemake")


def main() -> int:
    from irn.io.parallel import available_cores

    parser = argparse.ArgumentParser(description="Measure this project's code beside naive twins and write a table.")
    parser.add_argument("--only", metavar="CASE", help="measure one case and print it; 'scaling' is the growth of cost")
    parser.add_argument("--quick", action="store_true", help="small inputs, once each")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the results; docs/benchmarks by default, and the table in docs/performance.md",
    )
    parser.add_argument("--name", default=f"{available_cores()}_cores", help="of the files in that folder")
    options = parser.parse_args()
    # For the processes that measure, and for what they start.
    os.environ["PYTHONPATH"] = os.pathsep.join(str(folder) for folder in FOLDERS)
    from cases import CASES
    from cases.common import Disagreement
    from scaling import plot, scaling

    if "ir_labels" not in CASES:
        print("bench: pydensecrf2 is not installed, so the cases of the CRF are left out", file=sys.stderr)
    known = [*CASES, "scaling"]
    if options.only not in (None, *known):
        parser.error(f"no case {options.only}; choose from {', '.join(known)}")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cases", "scaling"])
    report: dict[str, Any] = {"made_on": machine(), "quick": options.quick, "cases": {}, "scaling": {}}
    names = known if options.only is None else [options.only]

    def case(name: str) -> dict[str, Any]:
        print(f"{name} ...", file=sys.stderr, flush=True)
        if name == "scaling":
            with context.Pool(1) as pool:
                return pool.apply(scaling, [options.quick])
        return measured(context, name, options.quick)

    # Several at once only where times do not count.
    with ThreadPoolExecutor(available_cores() if options.quick else 1) as threads:
        measuring = {name: threads.submit(case, name) for name in names}
        for name, future in measuring.items():
            try:
                report["cases"][name] = future.result()
            except Disagreement as error:
                threads.shutdown(cancel_futures=True)
                print(f"bench: {name}: the sides disagree: {error}", file=sys.stderr)
                return 1
    report["scaling"] = report["cases"].pop("scaling", {})
    print("\n".join([*findings(report), *sides(report), *growth(report), *made_on(report)]))
    if options.only is not None or (options.quick and options.out is None):
        return 0
    folder = options.out or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{options.name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    plot(report["scaling"], folder / f"{options.name}.png")
    if options.out is None:
        write_docs(report)
    return 0


def write_docs(report: dict[str, Any]) -> None:
    """Put the findings between the marks of docs/performance.md."""
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    shown = "\n".join([*findings(report), *made_on(report)])
    DOCS.write_text(f"{before}{MARKS[0]}\n{shown}\n{MARKS[1]}{after}", encoding="utf-8")


def measured(context: Any, name: str, quick: bool) -> dict[str, Any]:
    """Measure one case: its sides take turns, each in a process of its own."""
    from cases import CASES
    from cases.common import Measure

    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ends_of_pipes:
        pipes: dict[str, Any] = {}
        processes = []
        for side in case.names:
            pipe, other = context.Pipe()
            ends_of_pipes.enter_context(pipe)  # closed after an error too, or the processes would wait for more
            process = context.Process(target=serve, args=(other, name, side, quick, Path(folder)))
            process.start()
            other.close()
            processes.append(process)
            # One after another, so that the first makes files that they share.
            if answer(pipe):
                pipes[side] = pipe
        seconds: dict[str, list[float]] = {side: [] for side in pipes}
        first: dict[str, float] = {}
        for turn in range(1 if quick else 1 + case.repeats):
            for side, pipe in pipes.items():
                if turn == 0 or side not in case.once:
                    pipe.send("run")
                    spent = answer(pipe)
                    first.setdefault(side, spent)
                    if turn > 0 or quick or side in case.once:
                        seconds[side].append(spent)
        ends = {}
        for side, pipe in pipes.items():
            pipe.send("end")
            ends[side] = answer(pipe)
        for process in processes:
            process.join()
    measures = {side: Measure(side, seconds[side], first[side], *ends[side]) for side in pipes}
    agreement, findings = case.judge(measures)
    return {
        "title": case.title,
        "agreement": agreement,
        "findings": [finding._asdict() for finding in findings],
        "sides": {side: {"seconds": m.seconds, "first": m.first, "memory": m.memory} for side, m in measures.items()},
    }


def serve(pipe: Connection, name: str, side: str, quick: bool, folder: Path) -> None:
    """Make one side's inputs and run it when told to; then send the most memory that it added, and its last result."""
    from cases import CASES

    from irn.io.memory import keep_freed_memory

    case = CASES[name]
    result: Any = None
    # As the command line does.
    keep_freed_memory()
    try:
        if not quick:
            # At a small size first, so that libraries are loaded and compiled before memory is measured.
            with tempfile.TemporaryDirectory() as small:
                warm_up = case.sides(True, Path(small)).get(side)
                if warm_up:
                    warm_up()
        function = case.sides(quick, folder).get(side)
        before = forget_peak()
        pipe.send(function is not None)
        if function is None:
            return
        while pipe.recv() == "run":
            start = time.perf_counter()
            result = function()
            pipe.send(time.perf_counter() - start)
        pipe.send((peak() - before, result))
    except BaseException as error:
        pipe.send(error)
        raise


def answer(pipe: Connection) -> Any:
    got = pipe.recv()
    if isinstance(got, BaseException):
        raise got
    return got


def forget_peak() -> int:
    """Bytes in memory now, from where the peak is counted; on Linux the peak so far is forgotten."""
    if sys.platform == "linux":
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            # Memory that was freed would be taken again without being counted.
            trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """The most bytes in memory of this process; what it started does not count."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def machine() -> dict[str, str]:
    """What the numbers were measured on."""
    import torch

    from irn.io.parallel import available_cores
    from irn.workflow.provenance import git_commit

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {package.metadata["Name"].lower(): package.version for package in distributions()}
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": git_commit() or "unknown",
        "processor": processor(),
        "cores": f"{available_cores()}, torch computes with {torch.get_num_threads()} threads",
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: versions[name] for name in LIBRARIES if name in versions},
    }


def processor() -> str:
    try:
        if sys.platform == "darwin":
            return subprocess.run(
                ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True
            ).stdout.strip()
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, subprocess.CalledProcessError):
        return platform.machine()


def findings(report: dict[str, Any]) -> list[str]:
    """What was measured, and how it compares with the twin: a line each."""
    lines = ["Small inputs, once each: whether all runs and agrees, not how fast.", ""] if report["quick"] else []
    rows = [finding for case in report["cases"].values() for finding in case["findings"]]
    if rows:
        lines += ["| what | measured | compared with |", "|---|---|---|"]
        lines += [f"| {row['what']} | {row['measured']} | {row['compared_with']} |" for row in rows]
    return lines


def sides(report: dict[str, Any]) -> list[str]:
    """Seconds and memory of every side of every case."""
    if not report["cases"]:
        return []
    lines = [
        "",
        "Every side, in seconds: the median of the repeats, the fastest and the slowest, the first call, and the peak",
        "memory that the measured process added (not the processes that it starts).",
        "",
        "| | median | spread | repeats | first | memory |",
        "|---|---|---|---|---|---|",
    ]
    for case in report["cases"].values():
        lines.append(f"| **{case['title']}**: {case['agreement']} | | | | | |")
        for side, measure in case["sides"].items():
            times = measure["seconds"]
            spread = f"{min(times):.3g} to {max(times):.3g}" if len(times) > 1 else ""
            first, memory = f"{measure['first']:.3g}", f"{measure['memory'] / 1e6:.0f} MB"
            lines.append(f"| {side} | {median(times):.3g} | {spread} | {len(times)} | {first} | {memory} |")
    return lines


def growth(report: dict[str, Any]) -> list[str]:
    """How cost grows with size."""
    if not report["scaling"]:
        return []
    lines = ["", "| what grows | from | to | time from | time to | as the power |", "|---|---|---|---|---|---|"]
    for what, series in report["scaling"].items():
        x, y = series["x"], series["seconds"]
        lines.append(f"| {what} | {x[0]:,} | {x[-1]:,} | {y[0]:.3g} s | {y[-1]:.3g} s | {series['power']:.2f} |")
    return lines


def made_on(report: dict[str, Any]) -> list[str]:
    """The machine and the versions."""
    return ["", "Measured on: " + "; ".join(f"{name} {value}" for name, value in report["made_on"].items()) + ".", ""]


if __name__ == "__main__":
    sys.exit(main())
