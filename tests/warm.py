"""Snakemake and the jobs that it starts, each forked from a process that has imported all that they need.

To import Snakemake takes a second or two, to import torch more, and the workflow's tests start hundreds of processes. A
server imports once. `run_snakemake` has it fork a Snakemake, whose jobs ask it for forks of their own: their Python is
a small program that passes arguments, folder, environment and open files on, and ends with the exit code of the fork.
"""

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(path.stem for path in (ROOT / "irn/commands").glob("[a-z]*.py"))
CLIENT = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1:3] != ["-m", "irn"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = {{"program": "irn", "arguments": sys.argv[3:], "folder": os.getcwd(), "environment": dict(os.environ)}}
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps(request).encode() + b"\\n")
    sys.exit(int(server.recv(16) or 255))
"""


def run_snakemake(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run the command `snakemake` in a folder."""
    address = _address()
    request = {"program": "snakemake", "arguments": arguments, "folder": str(folder), "environment": dict(environment)}
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        open(os.devnull, "rb") as nothing,
        socket.socket(socket.AF_UNIX) as server,
    ):
        server.connect(address)
        socket.send_fds(server, [b"."], [nothing.fileno(), out.fileno(), err.fileno()])
        server.sendall(json.dumps(request).encode() + b"\n")
        code = int(server.recv(16) or 255)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(arguments, code, *said)


@functools.cache
def _address() -> str:
    """The socket of this process's server, which starts with the first request and ends with the tests."""
    folder = tempfile.TemporaryDirectory(prefix="irn-warm-")
    address = str(Path(folder.name) / "socket")
    client = Path(folder.name) / "python"
    client.write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
    client.chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, __file__, address, str(client)]
    server = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        server.kill()
        server.wait()
        folder.cleanup()

    atexit.register(end)
    return address


# ---- in the server


def serve(address: str, client: str) -> None:
    _import_all()
    # Nobody waits for the forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        listener.settimeout(2)
        tests = os.getppid()
        print("ready", flush=True)
        while os.getppid() == tests:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            if os.fork() == 0:
                listener.close()
                _answer(connection, client)
            connection.close()


def _import_all() -> None:
    _make_the_chart_library_once()
    # Altair is what reports import late.
    for name in ("snakemake.cli", "altair", *(f"irn.commands.{command}" for command in COMMANDS)):
        import_module(name)
    sys.modules["torch"].set_num_threads(1)


def _make_the_chart_library_once() -> None:
    """Keep the JavaScript of reports, which takes seconds to put together, for all forks.

    Another process makes it: the threads that do would be missing in forks, which draw charts with them.
    """
    import vl_convert

    make = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle(sys.argv[1]))"

    @functools.cache
    def bundle(snippet: str) -> str:
        return subprocess.run([sys.executable, "-c", make, snippet], check=True, capture_output=True, text=True).stdout

    vl_convert.javascript_bundle = bundle
    bundle(import_module("irn.report.page").EMBED)


def _answer(connection: socket.socket, client: str) -> None:
    """In a fork: run the program that is asked for, say its exit code, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as lines:
        request = json.loads(lines.readline())
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    code = _exit_code(request["program"], request["arguments"], client)
    with contextlib.suppress(OSError):
        connection.sendall(str(code).encode())
    os._exit(0)


def _exit_code(program: str, arguments: list[str], client: str) -> int:
    code: Any = 0
    try:
        if program == "irn":
            code = _irn(arguments)
        else:
            _snakemake(arguments, client)
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else int(code is not None)


def _irn(arguments: list[str]) -> int:
    checkout = os.environ["PYTHONPATH"]
    if checkout != str(ROOT):
        sys.path.insert(0, checkout)
        for name in [name for name in sys.modules if name.partition(".")[0] == "irn"]:
            del sys.modules[name]
    sys.argv = ["irn", *arguments]
    return int(import_module("irn.cli").main(arguments))


def _snakemake(arguments: list[str], client: str) -> None:
    import runpy

    sys.argv = ["snakemake", *arguments]
    sys.path[0] = str(ROOT)
    sys.executable = client
    runpy.run_path(str(ROOT / "envs/run_snakemake.py"), run_name="__main__")


if __name__ == "__main__":
    serve(*sys.argv[1:])
