"""What holds of the method whatever its input is: drawn by hypothesis, small, with the odd cases among it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import read_all, run, smooth_image
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from twins import slow_affinities

from irn.grid import UNSURE
from irn.inference.cams import class_attention_maps
from irn.inference.fields import fields
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.ops.crf import ir_label
from irn.ops.labels import synthesise_labels
from irn.ops.losses import pair_losses
from irn.ops.paths import pair_offsets
from irn.ops.resize import at_scale
from irn.ops.walk import affinities, random_walk
from irn.settings.settings import Walk

GOLDEN = Path(__file__).parent / "golden"

sides = st.integers(1, 9)
shares = st.floats(0, 1, width=32)
seeds = st.integers(0, 2**32 - 1)
radii = st.integers(2, 6)
betas = st.sampled_from([0.0, 0.5, 1.0, 2.5, 10.0, 20.0])
steps = st.integers(0, 300)


@st.composite
def boundaries(draw: st.DrawFn) -> np.ndarray:
    """(h, w) float32 in [0, 1]; 0 and 1 among it."""
    return draw(arrays(np.float32, (draw(sides), draw(sides)), elements=shares))


class TestWalk:
    @given(boundaries(), betas, steps, radii)
    def test_each_column_of_the_matrix_sums_to_1_so_what_is_even_stays(
        self, boundary: np.ndarray, beta: float, n: int, radius: int
    ) -> None:
        boundary = np.minimum(boundary, np.float32(0.9))
        even = random_walk((1 / (1 - boundary))[None], boundary, Walk(beta=beta, steps=n, radius=radius))
        np.testing.assert_allclose(even, 1, rtol=0, atol=5e-4)

    @given(boundaries(), seeds, betas, steps, radii)
    def test_mass_is_kept_when_each_cell_counts_by_its_affinities(
        self, boundary: np.ndarray, seed: int, beta: float, n: int, radius: int
    ) -> None:
        scores = np.random.default_rng(seed).random((2, *boundary.shape), np.float32)
        weights = slow_affinities(boundary, beta, radius).sum(0).reshape(boundary.shape)
        before, after = (
            (weights * maps).sum((1, 2))
            for maps in (
                scores * (1 - boundary),
                random_walk(scores, boundary, Walk(beta=beta, steps=n, radius=radius)),
            )
        )
        np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-5)

    @given(boundaries(), seeds, betas, steps, radii)
    def test_no_score_falls_below_the_least_or_rises_above_the_highest(
        self, boundary: np.ndarray, seed: int, beta: float, n: int, radius: int
    ) -> None:
        scores = np.random.default_rng(seed).random((1, *boundary.shape), np.float32)
        start = scores * (1 - boundary)
        found = random_walk(scores, boundary, Walk(beta=beta, steps=n, radius=radius))
        assert start.min() - 5e-4 <= found.min()
        assert found.max() <= start.max() + 5e-4

    @given(boundaries(), radii)
    def test_an_affinity_is_the_same_from_both_ends(self, boundary: np.ndarray, radius: int) -> None:
        """Turned by half, each pair is seen from its other end."""
        (h, w), edge = boundary.shape, radius - 1
        inner = (slice(None), slice(edge, edge + h), slice(edge, edge + w))
        found, turned = (
            affinities(boundary, 1, radius)[inner],
            affinities(boundary[::-1, ::-1].copy(), 1, radius)[inner],
        )
        for plane, (dy, dx) in enumerate(pair_offsets(radius)):
            if dy < h and abs(dx) < w:
                one = found[plane, : h - dy, max(0, -dx) : min(w, w - dx)]
                np.testing.assert_array_equal(one, turned[plane, ::-1, ::-1][dy:, max(0, dx) : w + min(0, dx)])

    @given(boundaries(), seeds, betas, steps, radii)
    def test_a_mirrored_image_has_the_mirrored_walk(
        self, boundary: np.ndarray, seed: int, beta: float, n: int, radius: int
    ) -> None:
        scores = np.random.default_rng(seed).random((2, *boundary.shape), np.float32)
        there = random_walk(scores, boundary, Walk(beta=beta, steps=n, radius=radius))
        back = random_walk(scores[..., ::-1].copy(), boundary[:, ::-1].copy(), Walk(beta=beta, steps=n, radius=radius))[
            ..., ::-1
        ]
        np.testing.assert_allclose(back, there, rtol=0, atol=5e-4)


class TestBatches:
    @given(boundaries(), seeds, betas, steps, radii)
    def test_maps_walk_together_as_alone(
        self, boundary: np.ndarray, seed: int, beta: float, n: int, radius: int
    ) -> None:
        scores = np.random.default_rng(seed).random((3, *boundary.shape), np.float32)
        together = random_walk(scores, boundary, Walk(beta=beta, steps=n, radius=radius))
        alone = [random_walk(one[None], boundary, Walk(beta=beta, steps=n, radius=radius)) for one in scores]
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=0, atol=1e-6)

    @given(seeds)
    def test_losses_of_a_batch_of_one_image_twice(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        logits, displacement = (
            torch.from_numpy(rng.standard_normal((1, n, 12, 14)).astype(np.float32)) for n in (1, 2)
        )
        label = torch.from_numpy(rng.choice([0, 1, 2, UNSURE], (1, 12, 14)).astype(np.uint8))
        one, two = (
            pair_losses(*(part.repeat(n, *[1] * (part.ndim - 1)) for part in (logits, displacement, label)), 4)
            for n in (1, 2)
        )
        for name in one:
            assert two[name].item() == pytest.approx(one[name].item(), rel=1e-4), name

    def test_networks(self) -> None:
        torch.manual_seed(0)
        images = torch.randn(3, 3, 48, 64)
        for model in (Classifier("resnet18", 4).eval(), IRNet("resnet18").eval()):
            with torch.inference_mode():
                together, alone = model(images), [model(one[None]) for one in images]
            whole = [together] if isinstance(together, torch.Tensor) else together
            for index, part in enumerate(whole):
                each = [one if isinstance(one, torch.Tensor) else one[index] for one in alone]
                torch.testing.assert_close(part, torch.cat(each), rtol=1e-4, atol=1e-4)


@st.composite
def walks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """(M, h, w) walks of an image with the class of each, and its height and width, in whole cells."""
    h, w, count = draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(st.integers(0, 5))
    rng = np.random.default_rng(draw(seeds))
    return rng.random((count, h, w), np.float32), rng.integers(0, 6, count), 4 * h, 4 * w


class TestLabels:
    @given(walks(), shares, shares, seeds)
    def test_permuted_classes_permute_labels(
        self, image: tuple[np.ndarray, np.ndarray, int, int], semantic: float, instance: float, seed: int
    ) -> None:
        maps, index, height, width = image
        permuted = np.random.default_rng(seed).permutation(6)
        before = synthesise_labels(maps, index, height, width, semantic, instance)
        after = synthesise_labels(maps, permuted[index], height, width, semantic, instance)
        np.testing.assert_array_equal(np.concatenate([[0], permuted + 1])[before["semantic"]], after["semantic"])
        np.testing.assert_array_equal(before["instance_map"], after["instance_map"])
        np.testing.assert_array_equal(permuted[before["instance_class"].astype(int)], after["instance_class"])
        np.testing.assert_array_equal(before["instance_score"], after["instance_score"])

    @given(walks(), shares, shares)
    def test_a_mirrored_walk_has_mirrored_labels(
        self, image: tuple[np.ndarray, np.ndarray, int, int], semantic: float, instance: float
    ) -> None:
        maps, index, height, width = image
        there = synthesise_labels(maps, index, height, width, semantic, instance)
        back = synthesise_labels(maps[..., ::-1], index, height, width, semantic, instance)
        # Weights of two cells change places, which changes the last bit of a sum.
        assert (there["semantic"] != back["semantic"][:, ::-1]).mean() <= 0.01
        assert ((there["instance_map"] > 0) != (back["instance_map"] > 0)[:, ::-1]).mean() <= 0.01

    @given(seeds, st.permutations(range(5)))
    def test_ir_labels_of_permuted_classes(self, seed: int, permuted: list[int]) -> None:
        rng = np.random.default_rng(seed)
        pixels = smooth_image(rng, 24, 32)
        # Not equal anywhere: the first of equal maps wins.
        maps = ndimage.gaussian_filter(rng.random((2, 24, 32)), (0, 4, 4)).astype(np.float32)
        maps = (maps - maps.min()) / np.ptp(maps)
        classes = rng.permutation(5)[:2]
        before = ir_label(pixels, maps, classes, 0.3, 0.05)
        order = np.argsort(np.array(permuted)[classes])
        after = ir_label(pixels, maps[order], np.array(permuted)[classes][order], 0.3, 0.05)
        number = np.arange(256)
        number[1:6] = np.array(permuted) + 1
        assert (number[before] == after).mean() > 0.99


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier("resnet18", 4).eval()


class TestMaps:
    @pytest.mark.parametrize("seed", range(3))
    def test_class_maps_of_a_mirrored_image_and_of_permuted_classes(self, classifier: Classifier, seed: int) -> None:
        pixels = smooth_image(np.random.default_rng(seed), 48, 64)

        def maps(given: np.ndarray, classes: list[int]) -> np.ndarray:
            with torch.inference_mode():
                scaled = [at_scale(given, scale) for scale in (1.0, 0.5)]
                return class_attention_maps(classifier, scaled, classes, 48, 64)["high_res"]

        there = maps(pixels, [0, 2, 3])
        np.testing.assert_allclose(maps(pixels[:, ::-1].copy(), [0, 2, 3])[..., ::-1], there, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(maps(pixels, [3, 0, 2]), there[[2, 0, 1]])

    def test_the_boundary_of_a_mirrored_image_is_mirrored(self) -> None:
        """Where neither side is padded; the displacement need not be, since it covers the image alone."""
        torch.manual_seed(0)
        model = IRNet("resnet18").eval()
        pixels = smooth_image(np.random.default_rng(0), 48, 64)
        with torch.inference_mode():
            there, back = (
                fields(model, image, 48, 64, 48, (0.0, 0.0))["boundary"] for image in (pixels, pixels[:, ::-1].copy())
            )
        np.testing.assert_allclose(back[:, ::-1], there, rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_number_of_shards_changes_nothing(tmp_path: Path, count: int) -> None:
    """7 are more than there are images: some shards are empty."""
    whole = [tmp_path / f"{name}.h5" for name in ("ir", "walk", "label")]
    parts = [[tmp_path / f"{name}-{index}.h5" for index in range(count)] for name in ("ir", "walk", "label")]
    common = ["--manifest", GOLDEN / "manifest.csv", "--workers", 0]
    cams, own_fields = ["--cams", GOLDEN / "cams.h5"], ["--fields", GOLDEN / "fields.h5"]
    for outs in ([[path] for path in whole], parts):
        for index in range(len(outs[0])):
            shard = [*common, "--shard", f"{index}/{len(outs[0])}"]
            run("make-ir-labels", *cams, "--out", outs[0][index], *shard)
            run("random-walk", *cams, *own_fields, "--out", outs[1][index], *shard)
            run("make-labels", "--walks", outs[1][index], "--out", outs[2][index], *shard)
    for kind, path, several in zip(("ir_label", "walk", "label"), whole, parts, strict=True):
        one, other = read_all(path, kind), read_all(several, kind)
        assert set(one) == set(other)
        for image_id in one:
            for name in one[image_id]:
                assert one[image_id][name].tobytes() == other[image_id][name].tobytes(), (kind, image_id, name)
