"""The golden cases (golden/README.md) and checkpoints laid out like the published release's."""

import json
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

GOLDEN = Path(__file__).with_name("golden")


class NetworkCase(NamedTuple):
    """Files of the network case: the release's checkpoints, weights imported from them, and the tables of its image."""

    cam_checkpoint: Path
    irn_checkpoint: Path
    cam_weights: Path
    irn_weights: Path
    manifest: Path
    labels: Path


@cache
def canonical_tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor of a canonical name."""
    if name == "mean_shift.running_mean":
        return torch.tensor([0.3, -0.2])
    x = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        x = 1 + 0.1 * abs(x)
    elif name.endswith("running_mean"):
        x = 0.1 * x
    elif len(shape) > 1:
        x = x * np.sqrt(2 / np.prod(shape[1:])) * (0.5 if "conv3" in name or "layer" not in name else 1)
    elif name.endswith("weight"):
        x = 1 + 0.05 * x
    else:
        x = 0.05 * x
    return torch.from_numpy(np.asarray(x, np.float32))


def canonical_names(which: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Every name in the release's checkpoint "cam" or "irn", with its shape and canonical name."""
    listed = json.loads((GOLDEN / "network_state_dict_shapes.json").read_text(encoding="utf-8"))[which]
    return {name: (tuple(shape), canonical) for name, (shape, canonical) in listed.items()}


def release_checkpoint(which: str) -> dict[str, torch.Tensor]:
    """A checkpoint with every alias, and with what real ones carry beside their tensors."""
    names = canonical_names(which)
    tensors = {name: canonical_tensor(canonical, shape) for name, (shape, canonical) in names.items()}
    tensors |= {
        name.replace("running_var", "num_batches_tracked"): torch.tensor(0)
        for name in names
        if name.endswith("running_var")
    }
    if which == "irn":
        tensors |= {f"path_indices_{index}": torch.arange(40).reshape(2, 4, 5) for index in range(3)}
        tensors["disp_target"] = torch.zeros(1, 2, 34, 1)
    return tensors


def hollow_checkpoint(which: str) -> dict[str, torch.Tensor]:
    """A checkpoint with the right names and shapes but all zeros, which is small and quick to write."""
    return {name: torch.zeros(1).expand(shape) for name, (shape, _) in canonical_names(which).items()}


def share_equal(one: np.ndarray, other: np.ndarray) -> float:
    """The share of pixels in which two maps of labels are equal."""
    assert one.shape == other.shape
    return float((one == other).mean())


def instances_agree(label: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Assert that two images' label arrays have the same scored instances, as defined in golden/README.md."""
    found, wanted = list(_scored_instances(label)), list(_scored_instances(expected))
    assert len(found) == len(wanted)
    for mask, class_index, score in wanted:
        overlaps = [(mask & other).sum() / (mask | other).sum() for other, _, _ in found]
        best = int(np.argmax(overlaps))
        _, found_class, found_score = found[best]
        assert found_class == class_index
        assert found_score == pytest.approx(score, abs=2e-3)
        assert overlaps[best] >= 0.99


def _scored_instances(label: dict[str, np.ndarray]) -> Iterator[tuple[np.ndarray, int, float]]:
    for row, score in enumerate(label["instance_score"]):
        if score > 0:
            yield label["instance_map"] == row + 1, int(label["instance_class"][row]), float(score)
