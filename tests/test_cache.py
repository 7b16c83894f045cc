"""The caches: what comes back, what other programs can read and write, and what damage is noticed."""

import fcntl
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from mutations import KINDS, Arrays, arrays_of

from irn.data.tables import images_of_caches, write_manifest
from irn.errors import IrnError
from irn.io.cache import CacheReader, CacheWriter
from irn.records import ImageRecord, Shard

PROVENANCE = {"stage": "a_stage", "settings": {"scales": [1.0, 0.5]}}
# How far values may come back from what was written; 0: exactly as written.
ROUNDING = {"cam": 4e-4, "high_res": 4e-4, "boundary": 2**-12, "displacement": 0.0, "walk": 0.0, "instance_score": 0.0}


def written(path: Path, kind: str, images: dict[str, tuple[int, int, Arrays]]) -> Path:
    with CacheWriter(path, kind, PROVENANCE) as cache:
        for image_id, image in images.items():
            cache.write(image_id, *image)
    return path


def three_images(kind: str) -> dict[str, tuple[int, int, Arrays]]:
    sizes = {"b": (13, 18), "a.1": (1, 1), "000123": (8, 5)}
    return {image_id: (*size, arrays_of(kind, count, *size)) for count, (image_id, size) in enumerate(sizes.items())}


def message(paths: list[Path], kind: str, image_id: str | None = None) -> str:
    def read() -> None:
        reader = CacheReader(paths, kind)
        reader.read(reader.ids[0] if image_id is None else image_id)

    with pytest.raises(IrnError) as caught:
        read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestRoundTrip:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [(13, 18), (1, 1), (16, 4)])
    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_arrays_come_back_within_the_rounding(
        self, tmp_path: Path, kind: str, size: tuple[int, int], count: int
    ) -> None:
        given = arrays_of(kind, count, *size)
        reader = CacheReader([written(tmp_path / "a.h5", kind, {"x": (*size, given)})], kind)
        assert reader.size("x") == size
        found = reader.read("x")
        assert set(found) == set(given)
        for name, array in given.items():
            assert found[name].shape == array.shape
            if array.dtype.kind == "f":
                assert found[name].dtype == np.float32
                # The rounding, and the float32 that the numbers stand in.
                np.testing.assert_allclose(
                    found[name], array, rtol=1e-7, atol=ROUNDING[name] + 1e-7 * (ROUNDING[name] > 0)
                )
            else:
                np.testing.assert_array_equal(found[name], array)

    def test_0_and_1_come_back_exactly(self, tmp_path: Path) -> None:
        maps = np.array([[[0, 1]]], np.float32)
        given = {"classes": np.array([3]), "cam": maps, "high_res": np.repeat(maps, 4, 2)[..., :5]}
        found = CacheReader(
            [written(tmp_path / "a.h5", "cam", {"x": (1, 5, given | {"high_res": np.ones((1, 1, 5))})})], "cam"
        ).read("x")
        assert found["cam"].tolist() == maps.tolist()
        assert (found["high_res"] == 1).all()

    def test_what_was_rounded_once_stays_as_it_is(self, tmp_path: Path) -> None:
        for kind in ("cam", "field"):
            first = CacheReader(
                [written(tmp_path / f"{kind}-1.h5", kind, {"x": (13, 18, arrays_of(kind, 2, 13, 18))})], kind
            ).read("x")
            second = CacheReader([written(tmp_path / f"{kind}-2.h5", kind, {"x": (13, 18, first)})], kind).read("x")
            for name in first:
                np.testing.assert_array_equal(first[name], second[name])

    def test_ids_keep_the_order_in_which_they_were_written(self, tmp_path: Path) -> None:
        ids = [f"{number:03}" for number in np.random.default_rng(0).permutation(40)]
        image = (3, 3, arrays_of("ir_label", 0, 3, 3))
        reader = CacheReader([written(tmp_path / "a.h5", "ir_label", dict.fromkeys(ids, image))], "ir_label")
        assert reader.ids == ids
        assert ids[7] in reader
        assert "other" not in reader

    def test_only_the_arrays_asked_for(self, tmp_path: Path) -> None:
        reader = CacheReader([written(tmp_path / "a.h5", "cam", three_images("cam"))], "cam")
        assert list(reader.read("b", ["cam"])) == ["cam"]

    def test_as_many_pieces_as_there_can_be(self, tmp_path: Path) -> None:
        given = arrays_of("label", 65535, 300, 301)
        given["instance_map"][:256, :256] = np.arange(65536).reshape(256, 256)
        found = CacheReader([written(tmp_path / "a.h5", "label", {"x": (300, 301, given)})], "label").read("x")
        np.testing.assert_array_equal(found["instance_map"], given["instance_map"])

    def test_the_names_of_the_arrays(self, tmp_path: Path) -> None:
        for kind in KINDS:
            reader = CacheReader([written(tmp_path / f"{kind}.h5", kind, three_images(kind))], kind)
            assert set(reader.names("a.1")) == set(arrays_of(kind, 1, 1, 1))

    def test_groups_of_a_walk_may_be_lacking(self, tmp_path: Path) -> None:
        """As in caches of older versions."""
        given = arrays_of("walk", 2, 13, 18)
        del given["groups"]
        reader = CacheReader([written(tmp_path / "a.h5", "walk", {"x": (13, 18, given)})], "walk")
        assert list(reader.read("x")) == reader.names("x") == list(given)
        assert reader.read("x", ["groups"]) == {}

    def test_a_cache_without_images(self, tmp_path: Path) -> None:
        assert CacheReader([written(tmp_path / "a.h5", "cam", {})], "cam").ids == []


class TestSeveralFiles:
    def test_images_are_found_by_id(self, tmp_path: Path) -> None:
        images = three_images("cam")
        paths = [
            written(tmp_path / f"{number}.h5", "cam", {image_id: image})
            for number, (image_id, image) in enumerate(images.items())
        ]
        reader = CacheReader(paths[::-1], "cam")
        assert reader.ids == list(images)[::-1]
        for image_id, (height, width, arrays) in images.items():
            assert reader.size(image_id) == (height, width)
            np.testing.assert_array_equal(reader.read(image_id)["classes"], arrays["classes"])

    def test_an_id_in_two_files(self, tmp_path: Path) -> None:
        paths = [written(tmp_path / name, "cam", three_images("cam")) for name in ("one.h5", "two.h5")]
        said = message(paths, "cam")
        assert str(paths[0]) in said
        assert str(paths[1]) in said
        assert "'b'" in said

    def test_the_same_file_twice(self, tmp_path: Path) -> None:
        path = written(tmp_path / "one.h5", "cam", three_images("cam"))
        assert "'b'" in message([path, path], "cam")

    def test_a_missing_image(self, tmp_path: Path) -> None:
        path = written(tmp_path / "one.h5", "cam", three_images("cam"))
        said = message([path], "cam", "c")
        assert str(path) in said
        assert "'c'" in said
        with pytest.raises(IrnError, match=r"'c' \(and 1 more of 3\)"):
            CacheReader([path], "cam").require(["b", "c", "d"])

    def test_images_beyond_those_asked_for(self, tmp_path: Path) -> None:
        CacheReader([written(tmp_path / "one.h5", "cam", three_images("cam"))], "cam").require(["b"])

    def test_another_size_than_the_manifest_says(self, tmp_path: Path) -> None:
        reader = CacheReader([written(tmp_path / "one.h5", "cam", three_images("cam"))], "cam")
        record = ImageRecord("b", Path("b.png"), 13, 18, "train")
        assert list(reader.image(record)) == list(reader.read("b"))
        assert list(reader.image(record, ["cam"])) == ["cam"]
        with pytest.raises(
            IrnError, match=r"one\.h5: image 'b' is 13 x 18 pixels, expected 18 x 13; make both from the same images"
        ):
            reader.image(replace(record, height=18, width=13))


class TestImages:
    @pytest.fixture
    def reader(self, tmp_path: Path) -> CacheReader:
        """Two files: the first with the images b, a.1 and 000123, the second with the image d."""
        first = written(tmp_path / "one.h5", "cam", three_images("cam"))
        second = written(tmp_path / "two.h5", "cam", {"d": (4, 4, arrays_of("cam", 1, 4, 4))})
        return CacheReader([first, second], "cam")

    def test_without_a_manifest_they_are_those_of_the_first_file(self, reader: CacheReader) -> None:
        found = [(record.image_id, record.height, record.width) for record in images_of_caches(reader, None, None)]
        assert found == [("b", 13, 18), ("a.1", 1, 1), ("000123", 8, 5)]
        assert [record.image_id for record in images_of_caches(reader, None, None, Shard(0, 2))] == ["b", "000123"]

    def test_with_a_manifest_they_are_its_rows(self, reader: CacheReader, tmp_path: Path) -> None:
        records = [
            ImageRecord(i, tmp_path / f"{i}.png", 4, 4, split)
            for i, split in (("d", "val"), ("b", "train"), ("e", "val"), ("f", "val"))
        ]
        write_manifest(tmp_path / "m.csv", records)
        assert images_of_caches(reader, tmp_path / "m.csv", None) == records
        assert images_of_caches(reader, tmp_path / "m.csv", "val", Shard(0, 2)) == [records[0], records[3]]

    def test_a_split_without_a_manifest(self, reader: CacheReader) -> None:
        with pytest.raises(IrnError, match="--split val: caches know of no splits; give the manifest too"):
            images_of_caches(reader, None, "val")


class TestClasses:
    """Indices and labels beyond the classes that there are."""

    @pytest.mark.parametrize(
        ("kind", "name", "highest"),
        [
            ("cam", "classes", 2),
            ("walk", "walk_class", 2),
            ("label", "instance_class", 2),
            ("label", "semantic", 3),
            ("ir_label", "label", 3),
        ],
    )
    def test_one_too_many_is_refused(self, tmp_path: Path, kind: str, name: str, highest: int) -> None:
        given = arrays_of(kind, 2, 13, 18)
        for other in given.keys() & {"classes", "walk_class", "instance_class", "semantic", "label"}:
            given[other] = np.zeros_like(given[other])
        for value in (highest, highest + 1):
            given[name].flat[1] = value
            path = written(tmp_path / f"{value}.h5", kind, {"x": (13, 18, given)})
            if value == highest:
                np.testing.assert_array_equal(CacheReader([path], kind, classes=3).read("x")[name], given[name])
            else:
                with pytest.raises(
                    IrnError, match=rf"h5: image 'x', array '{name}' holds {value}, expected 0 to {highest}"
                ):
                    CacheReader([path], kind, classes=3).read("x")
            # Without a table of classes nobody says how many there are.
            CacheReader([path], kind).read("x")

    def test_unsure_is_no_class(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.h5", "ir_label", {"x": (3, 3, {"label": np.full((3, 3), 255)})})
        assert (CacheReader([path], "ir_label", classes=3).read("x")["label"] == 255).all()

    def test_a_piece_without_a_row(self, tmp_path: Path) -> None:
        given = arrays_of("label", 2, 13, 18)
        given["instance_map"][0, 0] = 3
        assert "array 'instance_map' holds 3, expected 0 to 2" in message(
            [written(tmp_path / "a.h5", "label", {"x": (13, 18, given)})], "label"
        )


class TestWriter:
    def test_a_failure_leaves_nothing(self, tmp_path: Path) -> None:
        def fail() -> None:
            with CacheWriter(tmp_path / "a.h5", "cam", PROVENANCE) as cache:
                cache.write("x", 13, 18, arrays_of("cam", 2, 13, 18))
                raise KeyError("halfway")

        with pytest.raises(KeyError, match="halfway"):
            fail()
        assert list(tmp_path.iterdir()) == []

    def test_a_failure_leaves_the_older_file(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.h5", "cam", three_images("cam"))
        before = path.read_bytes()
        with pytest.raises(IrnError, match="high_res"):
            written(path, "cam", {"x": (13, 18, arrays_of("cam", 2, 13, 19))})
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_nothing_under_the_name_before_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "a.h5"
        with CacheWriter(path, "cam", PROVENANCE) as cache:
            cache.write("x", 13, 18, arrays_of("cam", 2, 13, 18))
            assert not path.exists()
        assert path.exists()
        assert list(path.parent.iterdir()) == [path]

    def test_what_a_killed_writer_left_is_written_over(self, tmp_path: Path) -> None:
        (tmp_path / "a.h5.partial").write_bytes(b"half a file")
        path = written(tmp_path / "a.h5", "cam", three_images("cam"))
        assert CacheReader([path], "cam").ids == ["b", "a.1", "000123"]
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("name", "array", "said"),
        [
            ("cam", None, "cam"),
            ("cam", np.zeros((2, 4, 6), np.float32), r"\(2, 4, 6\)"),
            ("cam", np.zeros((3, 4, 5), np.float32), r"\(3, 4, 5\)"),
            ("cam", np.zeros((4, 5), np.float32), r"\(4, 5\)"),
            ("high_res", np.zeros((2, 18, 13), np.float32), r"\(2, 18, 13\)"),
            ("high_res", np.zeros((2, 13, 18), np.uint8), "uint8"),
            ("classes", np.zeros(2, np.float32), "float32"),
            ("classes", np.zeros((2, 1), np.uint16), r"\(2, 1\)"),
        ],
    )
    def test_arrays_that_do_not_fit(self, tmp_path: Path, name: str, array: np.ndarray | None, said: str) -> None:
        arrays: dict[str, Any] = arrays_of("cam", 2, 13, 18) | {name: array}
        if array is None:
            del arrays[name]
        with pytest.raises(IrnError, match=said):
            written(tmp_path / "a.h5", "cam", {"x": (13, 18, arrays)})
        assert list(tmp_path.iterdir()) == []


class TestPlainFiles:
    @pytest.mark.parametrize("kind", KINDS)
    def test_plain_h5py_reads_what_is_written(self, tmp_path: Path, kind: str) -> None:
        images = three_images(kind)
        with h5py.File(written(tmp_path / "a.h5", kind, images), "r") as file:
            assert file.attrs["format_version"] == 1
            assert file.attrs["stage"] == "a_stage"
            assert json.loads(file.attrs["provenance"]) == PROVENANCE
            assert set(file) == set(images)
            for image_id, (height, width, arrays) in images.items():
                assert (file[image_id].attrs["height"], file[image_id].attrs["width"]) == (height, width)
                assert set(file[image_id]) == set(arrays)
                for name, array in arrays.items():
                    np.testing.assert_allclose(
                        file[image_id][name][()], array, rtol=1e-6, atol=ROUNDING.get(name, 0) + 1e-6
                    )
                    # Other compressions need plug-ins.
                    assert file[image_id][name].compression in (None, "gzip")

    def plain(self, path: Path, kind: str, images: dict[str, tuple[int, int, Arrays]], **attributes: Any) -> Path:
        """A file as another program would write it."""
        with h5py.File(path, "w") as file:
            file.attrs.update({"format_version": 1} | attributes)
            for image_id, (height, width, arrays) in images.items():
                group = file.create_group(image_id)
                group.attrs.update({"height": height, "width": width})
                for name, array in arrays.items():
                    group[name] = array
        return path

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("floats", [np.float16, np.float32, np.float64])
    def test_files_from_elsewhere(self, tmp_path: Path, kind: str, floats: type) -> None:
        images = three_images(kind)
        other = {
            image_id: (
                height,
                width,
                {name: a.astype(floats if a.dtype.kind == "f" else np.int64) for name, a in arrays.items()},
            )
            for image_id, (height, width, arrays) in images.items()
        }
        reader = CacheReader([self.plain(tmp_path / "a.h5", kind, other)], kind)
        assert set(reader.ids) == set(images)
        for image_id, (_, _, arrays) in other.items():
            for name, array in reader.read(image_id).items():
                assert array.dtype == (np.float32 if arrays[name].dtype.kind == "f" else np.int64)
                np.testing.assert_array_equal(array, arrays[name].astype(array.dtype))

    @pytest.mark.parametrize("version", [2, 0, "one", None])
    def test_another_version(self, tmp_path: Path, version: object) -> None:
        path = self.plain(
            tmp_path / "a.h5", "cam", three_images("cam"), format_version="one" if version is None else version
        )
        if version is None:
            with h5py.File(path, "r+") as file:
                del file.attrs["format_version"]
        said = message([path], "cam")
        assert str(path) in said
        assert f"format_version is {'none' if version is None else version}, expected 1" in said

    @pytest.mark.parametrize(
        ("name", "array", "said"),
        [
            ("cam", np.zeros((2, 13, 18), np.float32), "(2, 13, 18)"),
            ("cam", np.zeros((1, 4, 5), np.float32), "(1, 4, 5)"),
            ("cam", np.float32(1), "()"),
            ("cam", np.zeros((2, 4, 5), np.int64), "int64"),
            ("classes", np.zeros(2, np.float64), "float64"),
            ("cam", np.full((2, 4, 5), np.nan), "not finite"),
            ("cam", np.full((2, 4, 5), np.inf, np.float32), "not finite"),
            ("classes", np.array([3, 254]), "holds 254, expected 0 to 253"),
            ("classes", np.array([-1, 3]), "holds -1, expected 0 to 253"),
        ],
    )
    def test_arrays_of_another_shape_or_type(self, tmp_path: Path, name: str, array: np.ndarray, said: str) -> None:
        images = {"x": (13, 18, arrays_of("cam", 2, 13, 18) | {name: array})}
        found = message([self.plain(tmp_path / "a.h5", "cam", images)], "cam")
        assert said in found
        assert f"array '{name}'" in found.replace(f"array {name} ", f"array '{name}' ")
        assert "image" in found

    def test_a_group_in_the_place_of_an_array(self, tmp_path: Path) -> None:
        path = self.plain(tmp_path / "a.h5", "cam", {"x": (13, 18, arrays_of("cam", 2, 13, 18))})
        with h5py.File(path, "r+") as file:
            del file["x/cam"]
            file.create_group("x/cam")
        assert "'cam' is missing" in message([path], "cam")

    def test_a_missing_array_size_and_kind(self, tmp_path: Path) -> None:
        arrays = arrays_of("cam", 2, 13, 18)
        del arrays["high_res"]
        path = self.plain(tmp_path / "a.h5", "cam", {"x": (13, 18, arrays)})
        assert "'high_res' is missing" in message([path], "cam")
        assert list(CacheReader([path], "cam").read("x", ["cam"])) == ["cam"]
        assert "'boundary' is missing" in message([path], "field")
        sizeless = self.plain(tmp_path / "b.h5", "cam", {"x": (13, 18, arrays)})
        with h5py.File(sizeless, "r+") as file:
            del file["x"].attrs["width"]
        with pytest.raises(IrnError, match="width"):
            CacheReader([sizeless], "cam").size("x")


class TestSafety:
    @pytest.mark.parametrize("way", ["group", "array", "external storage", "virtual"])
    def test_nothing_in_another_file_is_read(self, tmp_path: Path, way: str) -> None:
        written(tmp_path / "other.h5", "field", three_images("field"))
        path = written(tmp_path / "a.h5", "field", three_images("field"))
        with h5py.File(path, "r+", locking=False) as file:
            shape = file["b/boundary"].shape
            if way == "group":
                del file["b"]
                file["b"] = h5py.ExternalLink("other.h5", "/b")
            else:
                del file["b/boundary"]
            if way == "array":
                file["b/boundary"] = h5py.ExternalLink("other.h5", "/b/boundary")
            elif way == "external storage":
                file["b"].create_dataset(
                    "boundary", shape, np.float32, external=[(tmp_path / "other.h5", 0, h5py.h5f.UNLIMITED)]
                )
            elif way == "virtual":
                layout = h5py.VirtualLayout(shape, np.float32)
                layout[...] = h5py.VirtualSource(tmp_path / "other.h5", "b/boundary", shape)
                file["b"].create_virtual_dataset("boundary", layout)
        assert "lies in another file; write the numbers themselves into the cache" in message([path], "field", "b")


class TestDamage:
    def test_a_lock_of_another_process_does_no_harm(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.h5", "cam", three_images("cam"))
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert CacheReader([path], "cam").read("b")

    def test_nobody_is_told_to_remove_what_may_be_sound(self, tmp_path: Path) -> None:
        (tmp_path / "a.h5").write_bytes(b"")
        assert "delete" not in message([tmp_path / "a.h5"], "cam")

    def test_no_such_file(self, tmp_path: Path) -> None:
        assert str(tmp_path / "a.h5") in message([tmp_path / "a.h5"], "cam")
        assert str(tmp_path) in message([tmp_path], "cam")

    @pytest.mark.parametrize("text", [b"", b"image_id,path\n", b"\x89HDF\r\n\x1a\n"])
    def test_no_cache(self, tmp_path: Path, text: bytes) -> None:
        (tmp_path / "a.h5").write_bytes(text)
        assert f"{tmp_path / 'a.h5'}: the cache is damaged" in message([tmp_path / "a.h5"], "cam")

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
    def test_a_truncated_file(self, tmp_path: Path, share: float) -> None:
        path = written(tmp_path / "a.h5", "cam", three_images("cam"))
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        assert f"{path}: the cache is damaged" in message([path], "cam")

    @pytest.mark.parametrize("compressible", [False, True])
    def test_every_flipped_byte_of_an_array_is_noticed(self, tmp_path: Path, compressible: bool) -> None:
        arrays = arrays_of("walk", 1, 100, 100)
        if compressible:
            arrays["walk"][...] = 0.5
        whole = written(tmp_path / "a.h5", "walk", {"x": (100, 100, arrays)})
        with h5py.File(whole, "r") as file:
            chunk = file["x"]["walk"].id.get_chunk_info(0)
        content = whole.read_bytes()
        for number, place in enumerate(
            np.random.default_rng(0).integers(chunk.byte_offset, chunk.byte_offset + chunk.size, 40)
        ):
            damaged = bytearray(content)
            damaged[place] ^= 1 << number % 8
            path = tmp_path / f"{number}.h5"
            path.write_bytes(damaged)
            assert f"{path}: the cache is damaged (image 'x'" in message([path], "walk")

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("seed", range(3))
    def test_flipped_bytes_are_noticed_or_harmless(self, tmp_path: Path, kind: str, seed: int) -> None:
        def everything(path: Path) -> dict[str, Any]:
            reader = CacheReader([path], kind)
            return {image_id: (reader.size(image_id), reader.read(image_id)) for image_id in reader.ids}

        whole = written(tmp_path / "a.h5", kind, three_images(kind))
        content, expected = whole.read_bytes(), everything(whole)
        rng = np.random.default_rng(seed)
        noticed = []
        for number, place in enumerate(rng.integers(0, len(content), 60)):
            damaged = bytearray(content)
            damaged[place] ^= rng.integers(1, 256)
            # A name of its own, since HDF5 keeps what it knows of a file that some reader still has open.
            path = tmp_path / f"{number}.h5"
            path.write_bytes(damaged)
            try:
                found = everything(path)
            except IrnError as error:
                noticed.append(str(path) in str(error) and "is missing" not in str(error))
                continue
            assert list(found) == list(expected)
            for image_id, (size, arrays) in expected.items():
                assert found[image_id][0] == size
                for name, array in arrays.items():
                    np.testing.assert_array_equal(found[image_id][1][name], array)
        assert len(noticed) > 10
        assert all(noticed)
