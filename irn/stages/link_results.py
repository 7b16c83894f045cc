"""Show a run's files under results/<run>/, wherever the store keeps them."""

import json
from collections.abc import Sequence
from pathlib import Path

from irn.errors import IrnError
from irn.files import whole_file
from irn.store import link


def link_results(out: Path, folders: Sequence[str], scores: Path | None = None) -> None:
    """Link each stage's folder beside `out`, and the table of scores, and write `out`, which lists them as JSON.

    folders: STAGE=DIR each. Raises IrnError for a folder or a table that does not exist.
    """
    targets: dict[str, Path] = {}
    for item in folders:
        stage, _, folder = item.partition("=")
        targets[stage] = Path(folder)
        if not targets[stage].is_dir():
            raise IrnError(f"--folders {item}: no such folder; expected STAGE=DIR with the folder of a stage that has run")
    if scores is not None and not scores.is_file():
        raise IrnError(f"{scores}: no such table of scores; run irn evaluate first")
    for stage, target in targets.items():
        link(out.parent / stage, target)
    if scores is not None:
        link(out.parent / "scores.csv", scores)
    with whole_file(out) as partial:
        partial.write_text(json.dumps({stage: str(target) for stage, target in targets.items()}, indent=1) + "\n", encoding="utf-8")
