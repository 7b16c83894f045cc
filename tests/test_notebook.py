"""What notebooks call: the same numbers as the commands, and examples that run as they stand."""

import doctest
import shutil
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import torch
from golden_cases import GOLDEN, NetworkCase, instances_agree, share_equal
from helpers import read_all, run, save_png, smooth_image
from PIL import Image

import irn
from irn.errors import IrnError
from irn.io.cache import CacheReader, CacheWriter
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.weights.files import save_weights

SCENES = ("noisy_fields", "one_class_touching", "single_instance", "three_classes", "two_classes_five_instances")
LABEL = ("semantic", "instance_map", "instance_class", "instance_score")

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def example_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples in docstrings name: caches, two photographs and small networks."""
    folder = tmp_path_factory.mktemp("examples")
    for cache in ("cams.h5", "fields.h5", "labels.h5"):
        shutil.copy(GOLDEN / cache, folder)
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(smooth_image(rng, 48, 64)).save(folder / name)
    torch.manual_seed(0)
    save_weights(folder / "cam.pt", "cam", Classifier("test_resnet", 2), {"stage": "test"}, ["cat", "dog"], 64)
    irnet = IRNet("test_resnet")
    save_weights(folder / "irn.pt", "irn", irnet, {"stage": "test"}, crop_size=64, mean_displacement=(0.0, 0.0))
    return folder


@pytest.mark.parametrize("name", irn.__all__)
def test_the_examples_run(name: str, example_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(example_files)
    said: list[str] = []
    (example,) = doctest.DocTestFinder().find(getattr(irn, name), name, globs={"irn": irn})
    result = doctest.DocTestRunner().run(example, out=said.append)
    assert result.failed == 0, "".join(said)
    assert result.attempted > 1


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'label_images'"):
        irn.label_images  # noqa: B018


class TestOpenCache:
    @pytest.mark.parametrize("kind", ["cam", "ir_label", "field", "label"])
    def test_it_finds_out_what_a_cache_holds(self, kind: str) -> None:
        path = GOLDEN / f"{kind}s.h5"
        found, expected = irn.open_cache(str(path)), CacheReader([path], kind)
        assert tuple(found.ids) == SCENES
        for scene in SCENES:
            assert found.size(scene) == expected.size(scene)
            arrays = expected.read(scene)
            assert list(found.read(scene)) == list(arrays)
            for name, array in arrays.items():
                np.testing.assert_array_equal(found.read(scene)[name], array)

    def test_objectness_of_refined_maps_is_read_too(self, tmp_path: Path) -> None:
        arrays = {"classes": np.array([1]), "cam": np.ones((1, 2, 3)), "high_res": np.ones((1, 8, 12))}
        arrays |= {"objectness": np.full((2, 3), 0.5)}
        with CacheWriter(tmp_path / "refined.h5", "refined", {"stage": "test"}) as cache:
            cache.write("x", 8, 12, arrays)
        assert irn.open_cache(tmp_path / "refined.h5").read("x").keys() == arrays.keys()

    @pytest.mark.parametrize("groups", [False, True])
    def test_walks_with_and_without_groups(self, tmp_path: Path, groups: bool) -> None:
        arrays = {"walk": np.ones((1, 2, 3)), "walk_class": np.array([4]), "walk_instance": np.array([0])}
        arrays |= {"groups": np.zeros((2, 3), int)} if groups else {}
        with CacheWriter(tmp_path / "walks.h5", "walk", {"stage": "test"}) as cache:
            cache.write("x", 8, 12, arrays)
        assert list(irn.open_cache(tmp_path / "walks.h5").read("x")) == list(arrays)

    def test_several_files(self, tmp_path: Path) -> None:
        paths = [tmp_path / f"{index}-of-2.h5" for index in range(2)]
        for index, path in enumerate(paths):
            with CacheWriter(path, "ir_label", {"stage": "test"}) as cache:
                cache.write(f"image_{index}", 3, 4, {"label": np.full((3, 4), index)})
        found = irn.open_cache(*paths)
        assert found.ids == ["image_0", "image_1"]
        assert (found.read("image_1")["label"] == 1).all()

    def test_a_file_that_is_missing_or_no_cache(self, tmp_path: Path) -> None:
        (tmp_path / "notes.h5").write_text("notes", encoding="utf-8")
        with pytest.raises(IrnError, match=r"none\.h5: no such cache file"):
            irn.open_cache(tmp_path / "none.h5")
        with pytest.raises(IrnError, match=r"notes\.h5: the cache is damaged"):
            irn.open_cache(tmp_path / "notes.h5")

    @pytest.mark.parametrize("image", [False, True])
    def test_a_file_without_an_image_or_with_other_arrays(self, tmp_path: Path, image: bool) -> None:
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file.attrs["format_version"] = 1
            if image:
                file["x/pixels"] = np.zeros((3, 4))
        with pytest.raises(IrnError, match=r"other\.h5: no image with the arrays of a cache") as caught:
            irn.open_cache(tmp_path / "other.h5")
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def caches() -> tuple[CacheReader, CacheReader]:
    """The CAMs and the fields of the golden scenes."""
    return irn.open_cache(GOLDEN / "cams.h5"), irn.open_cache(GOLDEN / "fields.h5")


def arrays_of(caches: tuple[CacheReader, CacheReader], scene: str, changes: dict[str, object] | None = None) -> Arrays:
    cams, fields = caches
    height, width = cams.size(scene)
    return irn.label_arrays(
        **cams.read(scene, ["cam", "classes"]), **fields.read(scene), height=height, width=width, changes=changes
    )


def command_labels(
    folder: Path, cams: Path, fields: Path, walk: tuple[object, ...] = (), labels: tuple[object, ...] = ()
) -> Path:
    """The label cache that the two last commands make with these options; the walks are beside it."""
    run(
        "random-walk",
        "--cams",
        cams,
        "--fields",
        fields,
        "--out",
        folder / "walks.h5",
        "--workers",
        0,
        *walk,
    )
    run("make-labels", "--walks", folder / "walks.h5", "--out", folder / "labels.h5", "--workers", 0, *labels)
    return folder / "labels.h5"


class TestLabelArrays:
    @pytest.mark.parametrize("scene", SCENES)
    def test_golden_cases(self, caches: tuple[CacheReader, CacheReader], scene: str) -> None:
        found, expected = arrays_of(caches, scene), read_all(GOLDEN / "labels.h5", "label")[scene]
        assert share_equal(found["semantic"], expected["semantic"]) >= 0.999
        instances_agree(found, expected)

    @pytest.mark.parametrize("changed", [False, True])
    def test_they_are_those_of_the_commands(
        self, caches: tuple[CacheReader, CacheReader], tmp_path: Path, changed: bool
    ) -> None:
        changes = {
            "walk.beta": 2,
            "walk.steps": 9,
            "walk.radius": 3,
            "labels.semantic_threshold": 0.5,
            "labels.instance_threshold": 0.4,
        }
        walk, labels = (
            ("--beta", 2, "--steps", 9, "--radius", 3),
            ("--semantic-threshold", 0.5, "--instance-threshold", 0.4),
        )
        options = (walk, labels) if changed else ()
        made = command_labels(tmp_path, GOLDEN / "cams.h5", GOLDEN / "fields.h5", *options)
        expected, walks = read_all(made, "label"), read_all(tmp_path / "walks.h5", "walk")
        for scene in SCENES:
            found = arrays_of(caches, scene, changes if changed else None)
            assert set(found) == {*LABEL, "groups"}
            for name in LABEL:
                np.testing.assert_array_equal(found[name], expected[scene][name])
                assert found[name].dtype == expected[scene][name].dtype
            np.testing.assert_array_equal(found["groups"], walks[scene]["groups"])

    def test_without_a_class(self) -> None:
        field = {"boundary": np.zeros((3, 4)), "displacement": np.zeros((2, 3, 4))}
        found = irn.label_arrays(np.zeros((0, 3, 4)), [], **field, height=10, width=15)
        assert found["semantic"].shape == found["instance_map"].shape == (10, 15)
        assert not found["semantic"].any()
        assert not found["instance_map"].any()
        assert len(found["instance_class"]) == len(found["instance_score"]) == 0
        assert found["groups"].tolist() == [[0] * 4] * 3

    def test_plain_lists_and_other_number_types(self, caches: tuple[CacheReader, CacheReader]) -> None:
        maps, field = caches[0].read("three_classes", ["cam", "classes"]), caches[1].read("three_classes")
        height, width = caches[0].size("three_classes")
        wider = {name: array.astype(np.float64) for name, array in {"cam": maps["cam"], **field}.items()}
        found = irn.label_arrays(**wider, classes=maps["classes"].tolist(), height=height, width=width)
        for name, array in arrays_of(caches, "three_classes").items():
            np.testing.assert_array_equal(found[name], array)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"walk.beta": -1}, "walk.beta is -1; expected a number of at least 0; see irn config"),
            ({"walk.bta": 5}, "walk.bta is not a key of the configuration; did you mean beta?; see irn config"),
        ],
    )
    def test_mistakes_in_changes(
        self, caches: tuple[CacheReader, CacheReader], changes: dict[str, object], message: str
    ) -> None:
        with pytest.raises(IrnError) as caught:
            arrays_of(caches, "single_instance", changes)
        assert str(caught.value) == message

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"displacement": np.full((2, 3, 4), np.nan)}, "'displacement' holds values that are not finite"),
            ({"cam": np.full((1, 3, 4), np.inf)}, "'cam' holds values that are not finite"),
            ({"boundary": np.full((3, 4), -7.0)}, "'boundary' holds -7, expected numbers from 0 to 1"),
            ({"classes": [254]}, "'classes' holds 254, expected 0 to 253"),
            ({"classes": ["dog"]}, "'classes' has number type <U3, expected an integer type"),
            ({"classes": [0, 1]}, "'classes' has shape (2,), expected (1,)"),
            ({"height": 15, "width": 10}, "'cam' has shape (1, 3, 4), expected (K, 4, 3)"),
            ({"displacement": np.zeros((3, 4, 2))}, "'displacement' has shape (3, 4, 2), expected (2, 3, 4)"),
        ],
    )
    def test_arrays_that_do_not_fit(self, changed: dict[str, Any], message: str) -> None:
        maps = {"cam": np.ones((1, 3, 4)), "boundary": np.zeros((3, 4)), "displacement": np.zeros((2, 3, 4))}
        good: dict[str, Any] = {**maps, "classes": [0], "height": 10, "width": 15}
        assert irn.label_arrays(**good)["semantic"].shape == (10, 15)
        with pytest.raises(IrnError) as caught:
            irn.label_arrays(**{**good, **changed})
        assert message in str(caught.value)


class Case(NamedTuple):
    """An image, the classes in it, and small networks; with the tables that the commands want."""

    image: Path
    classes: list[int]
    classifier: Path
    irnet: Path
    manifest: Path
    labels: Path


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    torch.manual_seed(3)
    paths = [folder / name for name in ("cam.pt", "irn.pt", "manifest.csv", "labels.csv")]
    save_weights(paths[0], "cam", Classifier("test_resnet", 4), {"stage": "test"}, ["a", "b", "c", "d"], 64)
    save_weights(paths[1], "irn", IRNet("test_resnet"), {"stage": "test"}, crop_size=64, mean_displacement=(0.5, -0.25))
    image = save_png(folder / "x.png", smooth_image(np.random.default_rng(3), 53, 71))
    paths[2].write_text("image_id,path,height,width,split\nx,x.png,53,71,train\n", encoding="utf-8")
    paths[3].write_text("image_id,a,b,c,d\nx,0,1,0,1\n", encoding="utf-8")
    return Case(image, [1, 3], *paths)


def label_image(case: Case, **changed: Any) -> Arrays:
    """The labels of its image, with some arguments changed."""
    arguments = {name: getattr(case, name) for name in Case._fields[:4]} | {"device": "cpu"} | changed
    image, classes = arguments.pop("image"), arguments.pop("classes")
    return irn.open_labeller(**arguments)(image, classes)


class TestOpenLabeller:
    def test_golden_case(self, network_case: NetworkCase) -> None:
        network = np.load(GOLDEN / "network.npz")
        classes = network["keys"].tolist()
        labeller = irn.open_labeller(network_case.cam_weights, network_case.irn_weights, device="cpu")
        assert labeller.names is None
        found = labeller(GOLDEN / "network_image.png", classes)
        assert set(found) == {*LABEL, "groups", "classes", "cam", "high_res", "boundary", "displacement"}
        assert found["classes"].tolist() == classes
        np.testing.assert_allclose(found["high_res"], network["high_res"], rtol=0, atol=5e-4)
        # As through the commands, which fold batch norms in the same way.
        for name, tolerance in (("cam", 5e-4), ("boundary", 5e-4), ("displacement", 2e-3)):
            assert found[name].dtype == np.float32
            np.testing.assert_allclose(found[name], network[name], rtol=0, atol=tolerance)
        maps = {name: found[name] for name in ("cam", "boundary", "displacement")}
        for name, array in irn.label_arrays(classes=classes, height=97, width=130, **maps).items():
            np.testing.assert_array_equal(found[name], array)
        assert set(found["instance_class"]) <= set(classes)

    @pytest.mark.parametrize("changed", [False, True])
    def test_it_is_what_the_commands_make(self, case: Case, tmp_path: Path, changed: bool) -> None:
        changes = {"cam.scales": (1.0, 1.5), "walk.steps": 20, "labels.instance_threshold": 0.5} if changed else None
        scales, *options = (
            [("--scales", 1, 1.5), ("--steps", 20), ("--instance-threshold", 0.5)] if changed else [(), (), ()]
        )
        cams, fields, device = tmp_path / "cams.h5", tmp_path / "fields.h5", ("--device", "cpu")
        tables = ("--manifest", case.manifest)
        run(
            "make-cams", *tables, "--labels", case.labels, "--weights", case.classifier, "--out", cams, *device, *scales
        )
        run("infer-fields", *tables, "--weights", case.irnet, "--out", fields, *device)
        expected = read_all(command_labels(tmp_path, cams, fields, *options), "label")["x"]
        made = (
            read_all(cams, "cam")["x"] | read_all(fields, "field")["x"] | read_all(tmp_path / "walks.h5", "walk")["x"]
        )
        found = label_image(case, changes=changes)
        # The caches round.
        np.testing.assert_allclose(found["cam"], made["cam"], rtol=0, atol=5e-4)
        np.testing.assert_allclose(found["boundary"], made["boundary"], rtol=0, atol=5e-4)
        np.testing.assert_array_equal(found["displacement"], made["displacement"])
        np.testing.assert_array_equal(found["groups"], made["groups"])
        assert len(np.unique(expected["semantic"])) > 1
        assert share_equal(found["semantic"], expected["semantic"]) >= 0.999
        instances_agree(found, expected)

    def test_paths_and_classes_may_be_text(self, case: Case) -> None:
        found = label_image(
            case, image=str(case.image), classes=["b", "d"], classifier=str(case.classifier), irnet=str(case.irnet)
        )
        for name, array in label_image(case).items():
            np.testing.assert_array_equal(found[name], array)

    def test_weights_are_read_once_for_all_images(self, case: Case, tmp_path: Path) -> None:
        weights = [shutil.copy(path, tmp_path) for path in (case.classifier, case.irnet)]
        labeller = irn.open_labeller(*weights, device="cpu")
        for path in weights:
            Path(path).unlink()
        assert labeller.names == ["a", "b", "c", "d"]
        first, other, again = (labeller(case.image, classes) for classes in ([1, 3], [0], [1, 3]))
        for name, array in first.items():
            np.testing.assert_array_equal(again[name], array)
        assert other["classes"].tolist() == [0]
        assert other["cam"].shape == (1, 14, 18)

    def test_pixels_give_what_their_file_gives(self, case: Case) -> None:
        found = label_image(case, image=np.array(Image.open(case.image)))
        for name, array in label_image(case).items():
            np.testing.assert_array_equal(found[name], array)

    def test_pixels_may_be_reversed_and_read_only(self, case: Case) -> None:
        pixels = np.array(Image.open(case.image))
        expected = label_image(case, image=pixels)
        pixels.flags.writeable = False
        for image in (pixels, pixels[..., ::-1].copy()[..., ::-1]):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = label_image(case, image=image)
            np.testing.assert_array_equal(found["cam"], expected["cam"])

    def test_a_class_that_is_given_twice_is_in_the_image_once(self, case: Case) -> None:
        found = label_image(case, classes=[1, "d", "b"])
        for name, array in label_image(case).items():
            np.testing.assert_array_equal(found[name], array)

    def test_without_a_class(self, case: Case) -> None:
        found = label_image(case, classes=[])
        assert found["cam"].shape == (0, 14, 18)
        assert not found["semantic"].any()
        assert len(found["instance_class"]) == 0

    def test_mistakes(self, case: Case, tmp_path: Path) -> None:
        transparent = save_png(tmp_path / "transparent.png", np.zeros((5, 6, 4), np.uint8))
        for changed, message in (
            ({"image": tmp_path / "none.png"}, r"none\.png: no such image"),
            ({"image": transparent}, r"transparent\.png: image mode is RGBA, expected 8-bit RGB"),
            ({"image": np.zeros((5, 6), np.uint8)}, r"image: uint8 of shape \(5, 6\); expected uint8 of shape"),
            ({"image": np.zeros((5, 6, 3))}, r"image: float64 of shape \(5, 6, 3\); expected uint8 of shape"),
            ({"irnet": case.classifier}, r"cam\.pt: weights of kind 'cam', expected 'irn'"),
            ({"classifier": tmp_path / "w.pt"}, r"w\.pt: no such weights file"),
            ({"classes": [1.7]}, r"classes: 1\.7, but .*cam\.pt knows 4 classes"),
            ({"classes": [True]}, r"classes: True, but .*cam\.pt knows 4 classes"),
            ({"classes": [None]}, r"classes: None, but .*cam\.pt knows 4 classes"),
            ({"classes": ["ant"]}, r"classes: 'ant', but .*cam\.pt knows 4 classes, counted from 0; a, b, c, d"),
            (
                {"changes": {"cam.scales": [0]}},
                r"cam\.scales is \[0\]; expected a list of numbers above 0; see irn config",
            ),
        ):
            with pytest.raises(IrnError, match=message):
                label_image(case, **changed)
