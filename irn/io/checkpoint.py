"""The state of a training after each epoch, on the disk."""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from irn.io.processes import rank
from irn.io.tensors import load_file, save_file


class Stateful(Protocol):
    """A part of a training whose state can be kept."""

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Go on from there."""


class Checkpoint:
    """The state of a training after its last whole epoch, in a file beside the weights to come.

    A training that was killed goes on from it, with the same settings, code and input files, also in folders. With
    others it is ignored and overwritten.
    """

    def __init__(self, weights: Path, record: dict[str, Any], inputs: Iterable[Path | None]) -> None:
        self.path = Path(weights).with_name(Path(weights).name + ".checkpoint")
        given = [path for path in inputs if path is not None and path.exists()]
        files = [path for top in given for path in ([top] if top.is_file() else sorted(top.rglob("*")))]
        states = [(str(path), path.stat()) for path in files]
        about = json.dumps([(name, state.st_size, state.st_mtime_ns) for name, state in states])
        digest = hashlib.sha256(about.encode()).hexdigest()
        self.record = json.dumps([record["settings"], record["code"], digest], sort_keys=True)

    def save(self, epochs: int, parts: dict[str, Stateful]) -> None:
        """Write the state of all parts after a number of epochs."""
        save_file(
            self.path,
            {"record": self.record, "epochs": epochs} | {name: part.state_dict() for name, part in parts.items()},
        )

    def restore(self, parts: dict[str, Stateful]) -> int:
        """Put all parts back as they were; the number of epochs then, 0 where there is no such file."""
        contents = load_file(self.path) if self.path.exists() else {}
        if contents.get("record") != self.record:
            return 0
        for name, part in parts.items():
            part.load_state_dict(contents[name])
        if rank() == 0:
            print(f"going on after epoch {contents['epochs']}, from {self.path}", file=sys.stderr)
        return int(contents["epochs"])

    def remove(self) -> None:
        """Delete the file, once the weights are safe."""
        self.path.unlink(missing_ok=True)
