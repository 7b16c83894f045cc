"""Tables that the code decides are in the docs as it decides them."""

from pathlib import Path

import pytest
from helpers import ROOT


@pytest.fixture(scope="module")
def pages() -> dict[Path, str]:
    names: dict[str, object] = {"__file__": str(ROOT / "docs/tables.py"), "__name__": "tables"}
    exec(compile((ROOT / "docs/tables.py").read_text(), str(ROOT / "docs/tables.py"), "exec"), names)
    return names["pages"]()  # type: ignore[operator]


@pytest.mark.parametrize("name", ["docs/configuration.md", "docs/caches.md", "docs/hpc.md", "configs/schema.json"])
def test_the_pages_hold_what_the_code_says(pages: dict[Path, str], name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == pages[ROOT / name], "bring it up to date with make tables"
