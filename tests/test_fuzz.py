"""What users feed that is damaged, forged or odd: read rightly or refused in one line; nothing else, ever.

Some hundreds of cases that are the same each time; FUZZ=10000 in the environment tries as many others.
"""

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mutations
import numpy as np
import pillow_heif
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pictures import directory, exif, saved, srgb_profile, tiff, with_chunks, with_segments

from irn.cli import main
from irn.data.coco import LAYOUT
from irn.data.coco_files import boxes_alone, boxes_at_a_glance, names_at_a_glance
from irn.data.coco_instances import InstancesFile
from irn.data.findings import Findings
from irn.data.images import Look, look, read_image
from irn.data.label_studio import read_label_studio
from irn.data.label_table import read_labels
from irn.data.labelmap import read_labelmap
from irn.data.labelme import read_labelme
from irn.data.listing import Listed
from irn.data.shapes import objects_of
from irn.data.tables import read_classes, read_manifest
from irn.data.tiff import OF_PIXELS
from irn.data.user_splits import read_splits, splits_in_labels
from irn.data.voc_annotations import object_names
from irn.data.yolo import read_yolo
from irn.errors import IrnError
from irn.records import Colours
from irn.settings.lookup import all_settings
from irn.settings.reading import check_config, read_config
from irn.settings.sweeps import variations
from irn.settings.writing import as_yaml

pillow_heif.register_heif_opener()
MANY = int(os.environ.get("FUZZ", "0"))


@pytest.mark.parametrize("kind", mutations.KINDS)
def test_damaged_and_forged_caches(tmp_path: Path, kind: str) -> None:
    """In a process of its own, which HDF5 could take along."""
    first = int.from_bytes(os.urandom(4), "big") if MANY else 0
    command = [
        sys.executable,
        "-W",
        "error",
        mutations.__file__,
        tmp_path,
        kind,
        first,
        MANY // len(mutations.KINDS) or 150,
    ]
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=300 + MANY
    )
    assert result.returncode == 0, f"seed {result.stdout.splitlines()[-1:]}: {result.stderr}"


# ---- tables, annotations and instances files

IDS = ("a", "b", "000123")
# What such files are made of, and what breaks their readers.
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    [
        "",
        " ",
        "0",
        "1",
        "True",
        "1.0",
        "yes",
        "dog",
        "Dog",
        "a",
        "b",
        "000123",
        "a.png",
        "../a",
        "images/a.png",
        "image_id",
        "split",
        "train",
    ]
    + [
        "\x00",
        "\ufeff",
        "\r",
        "\n",
        '"',
        "'",
        ",",
        ";",
        "\t",
        "|",
        "-1",
        "1e999",
        "nan",
        "\ud7ff",
        "\ud800",
        "é",
        "é",
        "__background__",
        "mean",
    ]
    + ["x", "0,5", "0.3", "WAHR", "none", "label", "is_valid", "Unnamed: 0", "image", "filename"]
    + ["['dog', 'cat']", "[]", "{'dog'}", '{"choices": ["dog"]}', '[{"x": 1}]', "dog cat", "0a1b2c3d-a.png", "a%2Epng"]
)


def odd_bytes(sound: bytes) -> st.SearchStrategy[bytes]:
    """A file's bytes with some parts taken out, put in or written over; or bytes of their own."""

    @st.composite
    def damaged(draw: st.DrawFn) -> bytes:
        found = sound
        for _ in range(draw(st.integers(1, 4))):
            start, length = draw(st.integers(0, len(found))), draw(st.integers(0, 12))
            put = draw(st.binary(max_size=12) | TEXTS.map(lambda text: text.encode("utf-8", "replace")))
            found = found[:start] + put + found[start + length :]
        return found

    marked = st.tuples(
        st.sampled_from([b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"<", b"{", b"["]), st.binary(max_size=80)
    )
    return damaged() | marked.map(b"".join)


def reads(read: Callable[[], Any]) -> Any:
    """What is read, or None where it is refused in one line."""
    said = ""
    try:
        return read()
    except IrnError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    return None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of all examples."""
    return tmp_path_factory.mktemp("fuzz")


IMAGES = [Listed(name, Path(f"/set/images/{name}.png"), "train") for name in IDS]
SOUND_CSV = b"image_id,dog,cat\na,1,0\nb,0,1\n000123,0,0\n"
ROWS = st.lists(st.lists(TEXTS, min_size=1, max_size=4), min_size=1, max_size=5)


@given(
    odd_bytes(SOUND_CSV)
    | st.tuples(ROWS, st.sampled_from(",;\t")).map(
        lambda rows: "\n".join(map(rows[1].join, rows[0])).encode("utf-8", "replace")
    )
)
def test_tables(place: Path, content: bytes) -> None:
    path = place / "labels.csv"
    path.write_bytes(content)
    findings = Findings()
    classes = reads(lambda: read_labels(path, IMAGES, findings))
    if classes is not None and not findings.problems:
        assert classes.present.keys() == set(IDS)
        assert all(0 <= index < len(classes.names) for present in classes.present.values() for index in present)
    # Cells that are mistakes are few lines, however many they are.
    assert len(findings.problems) <= 12
    reads(lambda: splits_in_labels(path, IMAGES, Findings()))
    splits = reads(lambda: read_splits(path, IMAGES, findings))
    assert splits is None or findings.problems or splits.keys() == set(IDS)
    for read in (read_manifest, read_classes):
        reads(lambda read=read: read(path))  # type: ignore[misc]


@given(
    st.lists(st.lists(st.booleans(), min_size=2, max_size=2), min_size=3, max_size=3),
    st.sampled_from([("1", "0"), ("True", "False"), ("1.0", "0.0"), ("yes", "NO"), (" 1", "0 ")]),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["{}", "{}.png", "images/{}.png", "./images/{}.png", " {} ", '"{}"']),
    st.permutations(range(3)),
)
def test_a_table_in_any_dialect_says_the_same(
    place: Path,
    held: list[list[bool]],
    words: tuple[str, str],
    mark: str,
    end: str,
    encoding: str,
    form: str,
    order: list[int],
) -> None:
    rows = [mark.join([form.format(IDS[row]), *(words[not one] for one in held[row])]) for row in order]
    path = place / "dialect.csv"
    path.write_bytes(end.join([mark.join(["image_id", "dog", "cat"]), *rows, ""]).encode(encoding))
    findings = Findings()
    classes = read_labels(path, IMAGES, findings)
    assert findings.problems == []
    assert classes.present == {
        name: [index for index, one in enumerate(row) if one] for name, row in zip(IDS, held, strict=True)
    }


PART = b"<part><name>head</name></part>"
XML = b"<annotation><filename>a.jpg</filename><object><name>dog</name>" + PART + b"</object></annotation>"
BOMB = b'<!DOCTYPE a [<!ENTITY x "dog">' + b"".join(
    b'<!ENTITY x%d "%s">' % (n, (b"&x%d;" % (n - 1) if n else b"&x;") * 50) for n in range(8)
) + b"]><annotation><object><name>&x7;</name></object></annotation>"  # fmt: skip
ELSEWHERE = (
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><object><name>&x;</name></object></annotation>'
)


ENCODINGS = st.sampled_from(
    ["utf-8", "utf8", "utf-16", "utf-32", "gbk", "GB2312", "big5", "shift_jis", "euc-kr", "hz", "ansi", "unicode", "x"]
    + ["base64", "rot13", "utf-7", "unicode_escape", "idna", "cp1252", "koi8-r", "punycode", "raw_unicode_escape"]
)


@st.composite
def declared_xml(draw: st.DrawFn) -> bytes:
    """An annotation in an encoding, or of bytes of its own, that declares some encoding."""
    start = f'<?xml version="1.0" encoding="{draw(ENCODINGS)}"?>'
    name = draw(TEXTS | st.text("猫犬貓ネコ고ö€", max_size=4))
    whole = start + XML.decode().replace("dog", name.replace("<", "").replace("&", "") or "dog")
    try:
        content = whole.encode(draw(ENCODINGS))
    except (LookupError, ValueError):
        content = whole.encode("utf-8", "replace")
    return draw(odd_bytes(content)) if draw(st.booleans()) else content


@given(odd_bytes(XML) | st.sampled_from([BOMB, ELSEWHERE]) | declared_xml())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_annotations(place: Path, content: bytes) -> None:
    path = place / "a.xml"
    path.write_bytes(content)
    names = reads(lambda: object_names(path))
    assert names is None or all(name and "root:" not in name for name in names)


INSTANCES: dict[str, Any] = {
    "info": {"year": 2014},
    "images": [{"id": n, "file_name": f"{name}.jpg", "height": 8, "width": 9} for n, name in enumerate(IDS, 1)],
    "categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 3, "iscrowd": 0, "segmentation": [[1, 1, 5, 1, 5, 5, 1, 5]]},
        {
            "id": 2,
            "image_id": 2,
            "category_id": 7,
            "iscrowd": 1,
            "segmentation": {"counts": [10, 20, 42], "size": [8, 9]},
        },
        {"id": 3, "image_id": 2, "category_id": 7, "iscrowd": 0, "segmentation": {"counts": "0X2", "size": [8, 9]}},
    ],
}
LEAVES = (
    st.none()
    | st.booleans()
    | TEXTS
    | st.integers()
    | st.floats()
    | st.sampled_from([0, 1, 2, 3, 7, 8, 9, -1, 2**63, 1e308, "1", "counts"])
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value within another."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from places_in(one, (*path, key))


@st.composite
def other_instances(draw: st.DrawFn) -> bytes:
    """The sound file with some values taken out, doubled or put in the place of others."""
    found = json.loads(json.dumps(INSTANCES))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(list(places_in(found)) or [("images",)]))
        parent = found
        for key in path:
            parent = parent[key]
        what = draw(st.integers(0, 2))
        if what == 0:
            parent[last] = draw(JSON)
        elif what == 1 and last in (parent if isinstance(parent, dict) else range(len(parent))):
            del parent[last]
        elif isinstance(parent, list):
            parent.append(parent[0] if parent else draw(JSON))
    return json.dumps(found).encode()


@given(other_instances() | odd_bytes(json.dumps(INSTANCES).encode()))
def test_instances_files(place: Path, content: bytes) -> None:
    path = place / "annotations/instances_train.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with Findings().collected():
        LAYOUT.read(place, ["train"], None, Findings())
    for glance in (
        names_at_a_glance,
        boxes_alone,
        boxes_at_a_glance,
        lambda _: LAYOUT.listed(place, ["train"], Findings()),
    ):
        reads(lambda glance=glance: glance(path))  # type: ignore[misc]
    file = reads(lambda: InstancesFile(path))
    if file is None:
        return
    for image_id in file.images:
        assert all(0 <= index < len(file.names) for index in file.classes(image_id))
        found = reads(lambda image_id=image_id: file.masks(image_id, 8, 9))  # type: ignore[misc]
        if found is not None:
            assert found[0].shape == (len(found[1]), 8, 9)


LABELME: dict[str, Any] = {
    "imagePath": "a.png",
    "flags": {"indoors": True},
    "shapes": [
        {"label": "dog", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon", "group_id": 1},
        {"label": "dog", "points": [[1, 1], [5, 5]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[4, 4], [5, 5]], "shape_type": "circle", "group_id": None},
        {"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "iVBORw0KGgo="},
    ],
}
STUDIO: list[Any] = [
    {
        "id": 1,
        "data": {"image": "/data/upload/1/0a1b2c3d-a.png"},
        "annotations": [
            {
                "result": [
                    {"type": "polygonlabels", "value": {"points": [[1, 1], [9, 1], [9, 9]], "polygonlabels": ["dog"]}},
                    {"type": "rectanglelabels", "value": {"x": 1, "y": 1, "width": 9, "height": 9, "rotation": 5,
                                                          "rectanglelabels": ["dog"]}},
                    {"type": "ellipselabels", "value": {"x": 50, "y": 50, "radiusX": 9, "radiusY": 9,
                                                        "ellipselabels": ["cat"]}},
                    {"type": "brushlabels", "value": {"format": "rle", "rle": [0, 0, 1, 32, 61], "brushlabels": ["a"]},
                     "original_width": 9, "original_height": 8},
                    {"type": "choices", "value": {"choices": ["cow"]}},
                ]
            }
        ],
    },
    {"image": "b.png", "annotation_id": 2, "choice": {"choices": ["dog"]}},
]  # fmt: skip


@st.composite
def other_json(draw: st.DrawFn, sound: Any) -> bytes:
    """A sound file with some values in the place of others, or taken out."""
    changed = json.loads(json.dumps(sound))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(list(places_in(changed)) or [(0,)]))
        parent = changed
        for key in path:
            parent = parent[key]
        if draw(st.booleans()):
            parent[last] = draw(JSON)
        else:
            del parent[last]
        if not changed:
            break
    return json.dumps(changed).encode()


SHAPES = {
    "a.json": (read_labelme, LABELME),
    "tasks.json": (lambda path: [shape for task in read_label_studio(path) for shape in task.shapes or ()], STUDIO),
    "a.txt": (lambda path: read_yolo(path, ["dog", "cat"]), None),
}
YOLO = b"0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.9 0.1 0.9 0.9\n"


@given(st.data())
def test_files_of_shapes(place: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(SHAPES)))
    read, sound = SHAPES[name]
    path = place / name
    content = YOLO if sound is None else json.dumps(sound).encode()
    path.write_bytes(data.draw(odd_bytes(content) if sound is None else other_json(sound) | odd_bytes(content)))
    shapes = reads(lambda: read(path))
    for label, mask in reads(lambda: objects_of(path, shapes, 8, 9)) or () if shapes else ():
        assert label
        assert mask.shape == (8, 9)


@given(odd_bytes(b"# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\n"))
def test_labelmaps(place: Path, content: bytes) -> None:
    (place / "labelmap.txt").write_bytes(content)
    reads(lambda: read_labelmap(place / "labelmap.txt"))


@pytest.mark.parametrize(
    "content",
    [b"[" * 200_000, b'{"images":' * 50_000, b'{"annotations":[' + b'{"a":' * 50_000, b'{"images":' + b"1" * 5000],
)
def test_nesting_without_end(place: Path, content: bytes) -> None:
    for name, read in (("deep.json", InstancesFile), ("deep.xml", object_names)):
        path = place / name
        path.write_bytes(content if name == "deep.json" else b"<a>" * 100_000)
        assert reads(lambda read=read, path=path: read(path)) is None  # type: ignore[misc]


# ---- images

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
FILLER = b"Exif\0\0II*\0" + directory([(0x010F, 2, 80, b"f" * 80)])  # a maker's name
UPRIGHT = {kind: saved(PIXELS, kind) for kind in ("JPEG", "PNG")} | {
    "WEBP": saved(PIXELS, "WEBP", lossless=True),
    "HEIF": saved(PIXELS, "HEIF", exif=FILLER),
    "AVIF": saved(PIXELS, "AVIF", exif=FILLER),
    "TIFF": tiff(PIXELS),
}
DIGESTS: dict[str, str] = {}  # of their pixels
# Tags that do not say how the pixels lie; of EXIF, all but the orientation.
NUMBERS = st.integers(0, 65535).filter(lambda tag: tag not in OF_PIXELS and tag != 0x0112)
HELD = st.binary(max_size=40) | st.sampled_from([bytes(4), b"\xff" * 4, struct.pack("<ii", -1, 0), b"8\0\0\0"])
TAGS = st.lists(
    st.tuples(NUMBERS, st.integers(0, 20) | st.just(65535), st.integers(0, 9) | st.just(2**32 - 1), HELD), max_size=6
)
BLOCKS = st.builds(exif, st.just(1), TAGS, st.sampled_from("<>")) | st.binary(max_size=60).map(b"Exif\0\0".__add__)
PROFILES = st.binary(max_size=200) | odd_bytes(srgb_profile()[:400])
XMP = st.binary(max_size=80) | st.sampled_from([b'<x tiff:Orientation="6"/>', b"<x", b'<a b="&#x110000;"/>'])


def dressed(draw: st.DrawFn, kind: str) -> bytes:
    """A picture with arbitrary metadata around it."""
    content = UPRIGHT[kind]
    if kind == "JPEG":
        kinds = st.one_of(
            st.tuples(st.just(0xE1), BLOCKS), st.tuples(st.just(0xE1), XMP.map(b"http://ns.adobe.com/xap/1.0/\0".__add__)),
            st.tuples(st.just(0xE2), PROFILES.map(b"ICC_PROFILE\0\1\1".__add__)),
            st.tuples(st.just(0xE2), BLOCKS.map(lambda block: b"MPF\0" + block[6:])),
            st.tuples(st.just(0xED), HELD.map(b"Photoshop 3.0\0008BIM".__add__)),
            st.tuples(st.integers(0xE0, 0xEF) | st.just(0xFE), st.binary(max_size=60)),
        )  # fmt: skip
        return with_segments(content, *draw(st.lists(kinds, max_size=5)))
    if kind == "PNG":
        names = [
            b"tEXt",
            b"zTXt",
            b"iTXt",
            b"eXIf",
            b"iCCP",
            b"pHYs",
            b"gAMA",
            b"cHRM",
            b"sRGB",
            b"acTL",
            b"fcTL",
            b"tIME",
        ]
        held = HELD | BLOCKS.map(lambda block: block[6:]) | PROFILES.map(lambda one: b"x\0\0" + zlib.compress(one))
        chunks = draw(st.lists(st.tuples(st.sampled_from([*names, b"abCd", b"sBIT", b"bKGD"]), held), max_size=5))
        return with_chunks(content, *chunks)
    if kind == "WEBP":
        more = {"exif": draw(BLOCKS), "icc_profile": draw(PROFILES), "xmp": draw(XMP)}
        return saved(PIXELS, "WEBP", lossless=True, **{name: held for name, held in more.items() if held})
    if kind == "TIFF":
        return tiff(PIXELS, draw(st.sampled_from("<>")), draw(TAGS))
    return content.replace(FILLER[6:], draw(BLOCKS)[6:][: len(FILLER) - 6].ljust(len(FILLER) - 6, b"\0"))


@st.composite
def photographs(draw: st.DrawFn) -> tuple[str, bytes]:
    kind = draw(st.sampled_from(list(UPRIGHT)))
    return kind, dressed(draw, kind)


@given(photographs())
@settings(max_examples=MANY or 200)
def test_metadata_of_images(place: Path, photograph: tuple[str, bytes]) -> None:
    """Whatever lies beside a picture, the same pixels come out."""
    kind, content = photograph
    path = place / "photograph"
    if kind not in DIGESTS:
        path.write_bytes(UPRIGHT[kind])
        DIGESTS[kind] = getattr(look(path), "digest", "")
    path.write_bytes(content)
    found = look(path, Colours(profiles=False))
    assert isinstance(found, Look), found
    assert found.digest == DIGESTS[kind]
    assert isinstance(look(path), Look)


@given(st.sampled_from(list(UPRIGHT)).flatmap(lambda kind: odd_bytes(UPRIGHT[kind])))
@example(b"\0\0\0\x18ftyph\neic")  # a line break in what names the kind
@settings(max_examples=MANY or 200)
def test_damaged_images(place: Path, content: bytes) -> None:
    path = place / "damaged"
    path.write_bytes(content)
    pixels = reads(lambda: read_image(path))
    assert pixels is None or (pixels.dtype == np.uint8 and pixels.ndim == 3)


# ---- configurations

KEYS = st.sampled_from(
    [*all_settings(), *("walk", "dataset.demo", "betas", "walk.betas", "dataset.root.x", "cam.", ""), "sweep.walk.beta"]
)
ODD_WORDS = [
    *("null", "None", "1e3", "0x10", "1_000", "16", "0.5", "~", ".nan", "-0"),
    *("none", "both", "pseudo", "voc", "/", "."),
]
ODD_VALUES = (
    LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(TEXTS | st.integers() | st.none(), LEAVES, max_size=2)
    | st.dates() | st.binary(max_size=3) | st.integers(min_value=10**30) | st.tuples(st.integers(), st.integers())
    | st.sampled_from(
        ["null", "None", "1e3", "0x10", "1_000", "16", "0.5", "~", ".nan", "-0", "none", "both", "pseudo", "voc"]
        + ["/", "."]
    )
)  # fmt: skip
SWEEPS = st.dictionaries(KEYS, st.lists(ODD_VALUES, max_size=3) | ODD_VALUES, max_size=3)


@st.composite
def configurations(draw: st.DrawFn) -> dict[Any, Any]:
    """Some keys of the configuration with values of their own, of other keys, or any; sections may be anything."""
    config: dict[Any, Any] = {"dataset": {"kind": "demo"}} if draw(st.booleans()) else {}
    for key in draw(st.lists(KEYS, max_size=5)):
        own = all_settings()[key].default if key in all_settings() else None
        other = all_settings()[draw(st.sampled_from(list(all_settings())))].default
        value = draw(
            st.one_of(
                st.just(own),
                st.just(own).map(str),
                st.just(other),
                ODD_VALUES,
                SWEEPS if key == "sweep" else ODD_VALUES,
            )
        )
        *parents, last = key.split(".")
        section = config
        for name in parents:
            below = section.setdefault(name, {})
            section = below if isinstance(below, dict) else section
        section[last] = value
    if draw(st.integers(0, 9)) == 0:
        config[draw(TEXTS | st.integers() | st.none() | st.booleans())] = draw(ODD_VALUES)
    return config


@given(configurations())
def test_configurations(config: dict[Any, Any]) -> None:
    found = reads(lambda: check_config(config))
    if found is not None:
        assert as_yaml(check_config(yaml.safe_load(as_yaml(found)))) == as_yaml(found)
        variations(found)


@given(
    configurations().map(lambda config: yaml.dump(config).encode())
    | odd_bytes(b"run: mine\nwalk: {beta: 5, steps: 7}\ncam:\n  scales: [1, 2]\n")
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_of_settings(place: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = place / "own.yaml"
    path.write_bytes(content)
    code = main(["config", "--configfile", str(path)])
    said = capsys.readouterr()
    if code:
        assert code == 2
        assert said.out == ""
        assert len(said.err.splitlines()) == 1
    else:
        assert isinstance(yaml.safe_load(said.out), dict)


@given(
    st.tuples(
        st.sampled_from([*all_settings(), "walk", "sweep"]),
        TEXTS | st.sampled_from(["{beta: 5}", "{beta: '5'}", "[1", "{a: b: c}", "!!python/object:x {}"]),
    )
)
def test_entries_of_the_command_line(entry: tuple[str, str]) -> None:
    reads(lambda: read_config(entries=["=".join(entry)]))
