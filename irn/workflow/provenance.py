"""What made a file: settings, code, versions."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from irn.settings.lookup import of_stage
from irn.settings.settings import Settings, value
from irn.workflow.commands_without_rule import COMMANDS
from irn.workflow.fingerprint import code_fingerprint

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "h5py", "numba", "timm", "pillow", "pydensecrf2")


def provenance(stage: str, settings: Settings | None = None, **more: Any) -> dict[str, Any]:
    """JSON-ready record of a stage: its settings, what `more` decides, code fingerprint, git commit and versions."""
    values = {row.key: value(settings, row.key) for row in of_stage(stage) if row.flag} if settings else {}
    return {
        "stage": stage,
        "settings": values | more,
        "code": code_fingerprint(*COMMANDS[stage].modules(settings)),
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "versions": {name: installed for name in LIBRARIES if (installed := _version(name))},
    }


def git_commit() -> str | None:
    """The commit of the checkout that the package runs from, with `+` after edits; None outside a checkout."""
    checkout = Path(__file__).parents[2]
    # An installed package may lie within a repository of its user's.
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
