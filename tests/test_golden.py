"""The golden cases, as computed and through the commands, within the tolerances that golden/README.md states."""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_cases import (
    GOLDEN,
    NetworkCase,
    canonical_names,
    canonical_tensor,
    hollow_checkpoint,
    instances_agree,
    share_equal,
)
from helpers import read_all, refused, run
from twins import same_partition, slow_groups, slow_walk

from irn.data.images import read_image
from irn.inference.cams import class_attention_maps
from irn.inference.fields import fields
from irn.io.cache import CacheReader, CacheWriter
from irn.ops.losses import pair_losses, total_loss
from irn.ops.resize import at_scale
from irn.weights.files import load_classifier, load_irnet

SCENES = ("noisy_fields", "one_class_touching", "single_instance", "three_classes", "two_classes_five_instances")
LOSSES = ("positive_affinity", "negative_affinity", "foreground_displacement", "background_displacement")


@pytest.fixture(scope="module")
def network() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / "network.npz"))


@pytest.fixture(scope="module")
def loss_case() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / "loss.npz"))


@pytest.fixture(scope="module", params=["as published", "rounded"])
def caches(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The CAM and the field cache: the golden files, and what this project's caches keep of them."""
    if request.param == "as published":
        return GOLDEN / "cams.h5", GOLDEN / "fields.h5"
    folder = tmp_path_factory.mktemp("rounded")
    for kind in ("cam", "field"):
        reader = CacheReader([GOLDEN / f"{kind}s.h5"], kind)
        with CacheWriter(folder / f"{kind}s.h5", kind, {"stage": "test"}) as cache:
            for image_id in reader.ids:
                cache.write(image_id, *reader.size(image_id), reader.read(image_id))
    return folder / "cams.h5", folder / "fields.h5"


@pytest.fixture(scope="module")
def labels(caches: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """The label cache that the two last commands make."""
    folder = tmp_path_factory.mktemp("labels")
    run(
        "random-walk",
        "--cams",
        caches[0],
        "--fields",
        caches[1],
        "--out",
        folder / "walks.h5",
        "--workers",
        0,
    )
    run("make-labels", "--walks", folder / "walks.h5", "--out", folder / "labels.h5", "--workers", 0)
    return read_all(folder / "labels.h5", "label")


class TestImport:
    def test_every_tensor_comes_over(self, network_case: NetworkCase) -> None:
        classifier, contents = load_classifier(network_case.cam_weights)
        assert contents["class_names"] is None
        assert contents["crop_size"] == 512
        assert contents["backbone"] == "resnet50"
        wanted = {canonical: shape for shape, canonical in canonical_names("cam").values()}
        found = {name.replace("backbone.", "resnet50."): tensor for name, tensor in classifier.state_dict().items()}
        for name, shape in wanted.items():
            assert torch.equal(found[name], canonical_tensor(name, shape)), name
        assert {name for name in found if not name.endswith("num_batches_tracked")} == set(wanted)

    def test_every_tensor_of_both_heads_comes_over(self, network_case: NetworkCase) -> None:
        irnet, contents = load_irnet(network_case.irn_weights)
        assert contents["mean_displacement"] == pytest.approx((0.3, -0.2))
        assert contents["crop_size"] == 512
        wanted = {
            canonical: shape
            for shape, canonical in canonical_names("irn").values()
            if canonical != "mean_shift.running_mean"
        }
        found = {
            name: tensor for name, tensor in irnet.state_dict().items() if not name.endswith("num_batches_tracked")
        }
        assert len(found) == len(wanted)
        # Every value is random, so equal tensors are the same tensor.
        unmet = [
            name
            for name, shape in wanted.items()
            if not any(torch.equal(canonical_tensor(name, shape), t) for t in found.values())
        ]
        assert unmet == []

    @pytest.mark.parametrize("prefix", ["", "module."])
    def test_a_checkpoint_saved_from_several_gpus(self, tmp_path: Path, prefix: str) -> None:
        for which in ("cam", "irn"):
            torch.save(
                {prefix + name: tensor for name, tensor in hollow_checkpoint(which).items()}, tmp_path / f"{which}.pth"
            )
        run(*import_command(tmp_path))
        assert load_classifier(tmp_path / "own" / "cam.pt")[0].classifier.weight.shape == (20, 2048, 1, 1)

    @pytest.mark.parametrize(
        ("which", "name", "damage"),
        [
            ("cam", "resnet50.layer3.2.conv1.weight", "missing"),
            ("cam", "classifier.weight", "misshaped"),
            ("irn", "resnet50.bn1.running_var", "misshaped"),
            ("irn", "fc_dp7.3.weight", "missing"),
            ("irn", "mean_shift.running_mean", "missing"),
            ("irn", "mean_shift.running_mean", "misshaped"),
        ],
    )
    def test_a_tensor_that_is_missing_or_misshaped(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str, name: str, damage: str
    ) -> None:
        checkpoints = {"cam": hollow_checkpoint("cam"), "irn": hollow_checkpoint("irn")}
        if damage == "missing":
            del checkpoints[which][name]
        else:
            checkpoints[which][name] = torch.zeros(7)
        for key, tensors in checkpoints.items():
            torch.save(tensors, tmp_path / f"{key}.pth")
        said = refused(capsys, tmp_path, *import_command(tmp_path))
        assert f"{tmp_path / which}.pth" in said
        assert "tensor" in said
        if "resnet50" in name:
            assert name.removeprefix("resnet50.") in said

    def test_the_two_checkpoints_given_the_wrong_way_round(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        torch.save(hollow_checkpoint("irn"), tmp_path / "cam.pth")
        torch.save(hollow_checkpoint("cam"), tmp_path / "irn.pth")
        assert "cam.pth" in refused(capsys, tmp_path, *import_command(tmp_path))


def import_command(folder: Path) -> list[object]:
    given = ["--cam", folder / "cam.pth", "--irn", folder / "irn.pth"]
    return ["import-weights", *given, "--out-cam", folder / "own" / "cam.pt", "--out-irn", folder / "own" / "irn.pt"]


class TestNetworks:
    def test_class_logits(self, network_case: NetworkCase, network: dict[str, np.ndarray]) -> None:
        model, _ = load_classifier(network_case.cam_weights)
        image = model.backbone.normalise(torch.from_numpy(read_image(GOLDEN / "network_image.png")))
        with torch.inference_mode():
            np.testing.assert_allclose(model(image[None]).numpy(), network["class_logits"], rtol=0, atol=1e-4)

    def test_class_maps_as_computed(self, network_case: NetworkCase, network: dict[str, np.ndarray]) -> None:
        model, _ = load_classifier(network_case.cam_weights)
        pixels = read_image(GOLDEN / "network_image.png")
        scaled = [at_scale(pixels, scale) for scale in (1.0, 0.5, 1.5, 2.0)]
        with torch.inference_mode():
            maps = class_attention_maps(model, scaled, network["keys"].tolist(), *pixels.shape[:2])
        for name in ("cam", "high_res"):
            np.testing.assert_allclose(maps[name], network[name], rtol=0, atol=1e-4)

    def test_class_maps_through_the_command(
        self, network_case: NetworkCase, network: dict[str, np.ndarray], tmp_path: Path
    ) -> None:
        case, out = network_case, tmp_path / "cams.h5"
        tables = ["--manifest", case.manifest, "--labels", case.labels]
        run("make-cams", *tables, "--weights", case.cam_weights, "--out", out, "--device", "cpu")
        found = read_all(out, "cam")["scene"]
        np.testing.assert_array_equal(found["classes"], network["keys"])
        np.testing.assert_allclose(found["cam"], network["cam"], rtol=0, atol=5e-4)
        np.testing.assert_allclose(found["high_res"], network["high_res"], rtol=0, atol=5e-4)

    def test_fields_as_computed(self, network_case: NetworkCase, network: dict[str, np.ndarray]) -> None:
        model, contents = load_irnet(network_case.irn_weights)
        pixels, training = (
            read_image(GOLDEN / "network_image.png"),
            (contents["crop_size"], contents["mean_displacement"]),
        )
        with torch.inference_mode():
            field = fields(model, pixels, *pixels.shape[:2], *training)
        for name in ("boundary", "displacement"):
            np.testing.assert_allclose(field[name], network[name], rtol=0, atol=1e-4)

    def test_fields_through_the_command(
        self, network_case: NetworkCase, network: dict[str, np.ndarray], tmp_path: Path
    ) -> None:
        out = tmp_path / "fields.h5"
        run(
            "infer-fields",
            "--manifest",
            network_case.manifest,
            "--weights",
            network_case.irn_weights,
            "--out",
            out,
            "--device",
            "cpu",
        )
        found = read_all(out, "field")["scene"]
        np.testing.assert_allclose(found["boundary"], network["boundary"], rtol=0, atol=5e-4)
        np.testing.assert_allclose(found["displacement"], network["displacement"], rtol=0, atol=2e-3)


@pytest.fixture(scope="module")
def computed(loss_case: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    logits = torch.from_numpy(loss_case["boundary_logits"]).requires_grad_()
    displacement = torch.from_numpy(loss_case["displacement"]).requires_grad_()
    losses = pair_losses(logits, displacement, torch.from_numpy(loss_case["label"]), int(loss_case["radius"]))
    total = total_loss(losses)
    total.backward()
    return {**losses, "total": total, "logits": logits, "displacement": displacement}


class TestLosses:
    @pytest.mark.parametrize("name", [*LOSSES, "total"])
    def test_values(self, computed: dict[str, torch.Tensor], loss_case: dict[str, np.ndarray], name: str) -> None:
        assert computed[name].item() == pytest.approx(float(loss_case[f"{name}_loss"]), rel=1e-5)

    def test_gradients(self, computed: dict[str, torch.Tensor], loss_case: dict[str, np.ndarray]) -> None:
        np.testing.assert_allclose(
            computed["logits"].grad.numpy(), loss_case["grad_boundary_logits"], rtol=0, atol=1e-6
        )
        np.testing.assert_allclose(
            computed["displacement"].grad.numpy(), loss_case["grad_displacement"], rtol=0, atol=1e-6
        )


class TestScenes:
    def test_ir_labels(self, caches: tuple[Path, Path], tmp_path: Path) -> None:
        out = tmp_path / "ir_labels.h5"
        run("make-ir-labels", "--manifest", GOLDEN / "manifest.csv", "--cams", caches[0], "--out", out, "--workers", 0)
        found, expected = read_all(out, "ir_label"), read_all(GOLDEN / "ir_labels.h5", "ir_label")
        assert tuple(found) == SCENES
        for scene in SCENES:
            assert share_equal(found[scene]["label"], expected[scene]["label"]) >= 0.999, scene

    def test_semantic_labels(self, labels: dict[str, dict[str, np.ndarray]]) -> None:
        expected = read_all(GOLDEN / "labels.h5", "label")
        assert tuple(labels) == SCENES
        for scene in SCENES:
            assert share_equal(labels[scene]["semantic"], expected[scene]["semantic"]) >= 0.999, scene

    @pytest.mark.parametrize("scene", SCENES)
    def test_instances(self, labels: dict[str, dict[str, np.ndarray]], scene: str) -> None:
        instances_agree(labels[scene], read_all(GOLDEN / "labels.h5", "label")[scene])

    def test_shards_in_two_processes_and_in_one_give_the_same(
        self, labels: dict[str, dict[str, np.ndarray]], caches: tuple[Path, Path], tmp_path: Path
    ) -> None:
        walks = [tmp_path / f"walks-{index}.h5" for index in range(2)]
        parts = [tmp_path / f"labels-{index}.h5" for index in range(2)]
        for index in range(2):
            shard = ["--shard", f"{index}/2", "--workers", 2 - 2 * index]
            run(
                "random-walk",
                "--cams",
                caches[0],
                "--fields",
                caches[1],
                "--out",
                walks[index],
                *shard,
            )
        assert list(read_all(walks[1], "walk")) == list(SCENES[1::2])
        # A shard's labels come from the walks of that shard: rows are those of the first cache.
        for index in range(2):
            run("make-labels", "--walks", walks[index], "--out", parts[index], "--workers", 0)
        found = read_all(parts, "label")
        assert set(found) == set(SCENES)
        for scene in SCENES:
            for name, array in labels[scene].items():
                np.testing.assert_array_equal(found[scene][name], array)

    def test_walk_against_the_dense_matrix(self, tmp_path: Path) -> None:
        out = tmp_path / "walks.h5"
        run(
            "random-walk",
            "--cams",
            GOLDEN / "cams.h5",
            "--fields",
            GOLDEN / "fields.h5",
            "--out",
            out,
            "--workers",
            0,
        )
        walks, cams, field = (
            read_all(out, "walk"),
            read_all(GOLDEN / "cams.h5", "cam"),
            read_all(GOLDEN / "fields.h5", "field"),
        )
        for scene in SCENES:
            maps, found = dict(zip(cams[scene]["classes"], cams[scene]["cam"], strict=True)), walks[scene]
            groups = found["groups"]
            assert same_partition(groups, slow_groups(field[scene]["displacement"])), scene
            # What a map says of itself: its class, and the group of cells that its walk starts in.
            starts = list(zip(found["walk_class"], found["walk_instance"], strict=True))
            assert sorted(starts) == sorted(
                (c, g) for c, cam in maps.items() for g in np.unique(groups) if cam[groups == g].any()
            ), scene
            cut = np.stack([maps[index] * (groups == group) for index, group in starts])
            expected = slow_walk(cut, field[scene]["boundary"], 10, 256, 5)
            np.testing.assert_allclose(found["walk"], expected, rtol=0, atol=5e-4 * expected.max(), err_msg=scene)
