"""The pair losses against a twin that goes pair by pair in float64, values and gradients."""

import numpy as np
import pytest
import torch
from twins import slow_half_disc, slow_path

from irn.ops.losses import pair_losses, total_loss

NAMES = ("positive_affinity", "negative_affinity", "foreground_displacement", "background_displacement")
EPSILON = 1e-5


def slow_losses(
    logits: torch.Tensor, displacement: torch.Tensor, label: torch.Tensor, radius: int
) -> dict[str, torch.Tensor]:
    """Sums over the pairs that count, one by one; sources are pixels whose whole neighbourhood lies in the map."""
    batch, height, width = label.shape
    zero = torch.zeros((), dtype=torch.float64)
    sums = {
        name: [zero, 0] for name in ("background", "foreground", "different", "foreground_error", "background_error")
    }

    def add(name: str, value: torch.Tensor, count: int) -> None:
        sums[name] = [sums[name][0] + value, sums[name][1] + count]

    for b in range(batch):
        for y in range(height - radius + 1):
            for x in range(radius - 1, width - radius + 1):
                for dy, dx in slow_half_disc(radius):
                    one, other = int(label[b, y, x]), int(label[b, y + dy, x + dx])
                    if 255 in (one, other):
                        continue
                    path = torch.stack([logits[b, 0, y + py, x + px] for py, px in slow_path(dy, dx)])
                    affinity = 1 - torch.sigmoid(path).max()
                    if one != other:
                        add("different", -torch.log(1 + EPSILON - affinity), 1)
                        continue
                    difference = displacement[b, :, y, x] - displacement[b, :, y + dy, x + dx]
                    kind = "foreground" if one else "background"
                    add(kind, -torch.log(affinity + EPSILON), 1)
                    wanted = torch.tensor([dy, dx], dtype=torch.float64) if one else torch.zeros(2, dtype=torch.float64)
                    add(f"{kind}_error", (difference - wanted).abs().sum(), 2)
    mean = {name: total / (count + EPSILON) for name, (total, count) in sums.items()}
    return {
        "positive_affinity": mean["background"] / 2 + mean["foreground"] / 2,
        "negative_affinity": mean["different"],
        "foreground_displacement": mean["foreground_error"],
        "background_displacement": mean["background_error"],
    }


def case(seed: int, shape: tuple[int, int, int], values: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    batch, height, width = shape
    patches = rng.choice(values, (batch, -(-height // 2), -(-width // 3)))
    label = np.kron(patches, np.ones((1, 2, 3), int))[:, :height, :width].astype(np.uint8)
    logits = torch.from_numpy(rng.standard_normal((batch, 1, height, width)) * 2)
    displacement = torch.from_numpy(rng.standard_normal((batch, 2, height, width)) * 3)
    return logits, displacement, torch.from_numpy(np.ascontiguousarray(label))


def gradients(total: torch.Tensor, *inputs: torch.Tensor) -> list[np.ndarray]:
    if not total.requires_grad:
        return [np.zeros(i.shape) for i in inputs]
    found = torch.autograd.grad(total, inputs, allow_unused=True, retain_graph=True)
    return [np.zeros(i.shape) if g is None else g.numpy() for g, i in zip(found, inputs, strict=True)]


def agree(logits: torch.Tensor, displacement: torch.Tensor, label: torch.Tensor, radius: int) -> dict[str, float]:
    inputs = [tensor.double().requires_grad_() for tensor in (logits, displacement)]
    found, expected = pair_losses(*inputs, label, radius), slow_losses(*inputs, label, radius)
    assert tuple(found) == NAMES
    for name in NAMES:
        assert found[name].shape == ()
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-9, abs=1e-12), name
        for one, other in zip(gradients(found[name], *inputs), gradients(expected[name], *inputs), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)
        single = pair_losses(*(tensor.detach().float() for tensor in inputs), label, radius)
        assert single[name].item() == pytest.approx(expected[name].item(), rel=1e-5, abs=1e-6), name
    return {name: value.item() for name, value in found.items()}


@pytest.mark.parametrize(
    ("shape", "radius"),
    [((1, 5, 6), 2), ((2, 7, 9), 3), ((1, 8, 10), 4), ((2, 6, 11), 5), ((1, 3, 12), 3), ((3, 9, 5), 3)],
)
def test_random_maps(shape: tuple[int, int, int], radius: int) -> None:
    losses = agree(*case(radius, shape, [0, 0, 1, 2, 255]), radius)
    assert losses["positive_affinity"] > 0


@pytest.mark.parametrize("values", [[255], [0], [1], [0, 255], [3, 255], [1, 2], [0, 1]], ids=str)
def test_labels_of_few_values(values: list[int]) -> None:
    losses = agree(*case(1, (2, 7, 8), values), 3)
    kinds = set(values) - {255}
    assert (losses["background_displacement"] == 0) == (0 not in kinds)
    assert (losses["foreground_displacement"] == 0) == (not kinds - {0})
    assert (losses["negative_affinity"] == 0) == (len(kinds) < 2)
    assert (losses["positive_affinity"] == 0) == (not kinds)


@pytest.mark.parametrize("seed", range(4))
def test_a_single_pair_that_counts(seed: int) -> None:
    logits, displacement, _ = case(seed, (1, 6, 7), [0])
    label = torch.full((1, 6, 7), 255, dtype=torch.uint8)
    label[0, 1, 3], label[0, 2, 3 + seed - 1] = [(0, 0), (5, 5), (0, 4), (3, 4)][seed]
    agree(logits, displacement, label, 3)


@pytest.mark.parametrize("shape", [(1, 3, 5), (1, 2, 20), (1, 20, 4), (2, 1, 1)])
def test_maps_of_one_source_and_of_none(shape: tuple[int, int, int]) -> None:
    logits, displacement, label = case(2, shape, [0, 1])
    losses = agree(logits, displacement, label, 3)
    if shape != (1, 3, 5):
        assert set(losses.values()) == {0}
        inputs = [logits.clone().requires_grad_(), displacement.clone().requires_grad_()]
        for gradient in gradients(total_loss(pair_losses(*inputs, label, 3)), *inputs):
            assert not gradient.any()


def test_pixels_that_no_pair_reaches_do_not_count() -> None:
    logits, displacement, label = case(3, (1, 8, 10), [0, 1])
    before = pair_losses(logits, displacement, label, 4)
    # The bottom corners are 3 down and 3 aside from the nearest source, farther than 4 cells.
    for column in (0, 9):
        logits[0, 0, 7, column] = displacement[0, 0, 7, column] = 50
        label[0, 7, column] = 9
    after = pair_losses(logits, displacement, label, 4)
    assert {name: value.item() for name, value in before.items()} == {
        name: value.item() for name, value in after.items()
    }


def test_the_total_is_half_of_all_four() -> None:
    losses = pair_losses(*case(4, (2, 7, 8), [0, 1, 2]), 3)
    expected = (losses["positive_affinity"] + losses["negative_affinity"]) / 2
    expected = expected + (losses["foreground_displacement"] + losses["background_displacement"]) / 2
    assert total_loss(losses).item() == pytest.approx(expected.item(), rel=1e-12)


def test_perfect_fields_cost_nothing() -> None:
    # Every cell of the object points at one centroid, the background nowhere; a wall lies between the two.
    label = torch.zeros((1, 12, 16), dtype=torch.uint8)
    label[0, :, 8:] = 1
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    displacement = torch.where(label == 1, torch.stack([6 - y, 12 - x]), torch.zeros(2, 12, 16))[None].reshape(
        1, 2, 12, 16
    )
    losses = pair_losses(torch.full((1, 1, 12, 16), -30.0), displacement, label, 4)
    assert losses["foreground_displacement"].item() == 0
    assert losses["background_displacement"].item() == 0
    assert losses["positive_affinity"].item() == pytest.approx(0, abs=2e-5)
    assert losses["negative_affinity"].item() > 10


def test_the_batch_is_one_sum() -> None:
    logits, displacement, label = case(5, (2, 7, 9), [0, 1])
    label[1] = 255
    both, alone = pair_losses(logits, displacement, label, 3), pair_losses(logits[:1], displacement[:1], label[:1], 3)
    for name in NAMES:
        assert both[name].item() == pytest.approx(alone[name].item(), rel=1e-12)
