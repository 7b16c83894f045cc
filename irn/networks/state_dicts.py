"""State dicts within checkpoints of other programs, and the beginnings of their tensors' names."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from irn.errors import IrnError

# Entries of checkpoints that hold a network, the better one first where there are two.
ENTRIES = (
    "state_dict_ema",
    "model_ema",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "teacher",
)


def state_dict_of(contents: Mapping[str, Any], path: Path, network: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by their names, whatever is around them.

    Raises IrnError, naming `path` and `network`, for one without tensors, and for one with several networks.
    """
    tensors = {name: value for name, value in contents.items() if isinstance(value, torch.Tensor)}
    inner = {name: value for name, value in contents.items() if _holds_tensors(value)}
    # Beside a state dict, a single tensor is a score.
    if tensors and not inner:
        return tensors
    names = [name for name in ENTRIES if name in inner] or list(inner)
    if not names:
        listed = ", ".join(map(str, list(contents)[:5])) or "nothing"
        raise IrnError(
            f"{path}: no state dict of {network} in it (it holds {listed}); save the network's state_dict() and give"
            " that"
        )
    if len(names) > 1 and names[0] not in ENTRIES:
        raise IrnError(
            f"{path}: could be any of its entries {', '.join(names)}; save the right one alone and give that"
        )
    return state_dict_of(inner[names[0]], path, network)


def without_beginning(tensors: Mapping[str, torch.Tensor], names: Sequence[str]) -> dict[str, torch.Tensor]:
    """The tensors whose names have the beginning, such as `module.`, behind which there are all of `names`.

    Without such a beginning, or with several, the tensors as they are.
    """
    beginnings = [name.removesuffix(names[0]) for name in tensors if name.endswith(f".{names[0]}")]
    whole = [start for start in beginnings if all(start + name in tensors for name in names)]
    if len(whole) != 1 or all(name in tensors for name in names):
        return dict(tensors)
    return {name.removeprefix(whole[0]): tensor for name, tensor in tensors.items() if name.startswith(whole[0])}


def _holds_tensors(value: Any) -> bool:
    """Whether something is a state dict, or a dictionary around one; the state of an optimiser is neither."""
    return isinstance(value, Mapping) and any(
        isinstance(name, str) and (isinstance(part, torch.Tensor) or _holds_tensors(part))
        for name, part in _items(value)
    )


def _items(value: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    return ((name, part) for name, part in value.items() if name not in ("state", "param_groups"))
