"""The order of the tests on SLURM."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test submits the jobs, which take minutes and half of a processor; the others wait for them when all else is tested."""
    items.sort(key=lambda item: item.path.parent == HERE and item.name != "test_jobs_are_submitted")
