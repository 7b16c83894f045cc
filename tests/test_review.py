"""irn/commands/review.py and irn/review/: looking at labels, deciding on them and correcting them, in a browser too."""

import contextlib
import functools
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import in_browser, read_all, refused, save_png, set_width, start_browser
from helpers import run as run_command
from PIL import Image
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from test_report import NAMES, SIZE, HandMade

from irn.commands.review import open_session
from irn.data.index_png import read_index_png
from irn.errors import IrnError
from irn.grid import cells
from irn.inference.labels import labels_of
from irn.ops.panoptic import panoptic
from irn.pictures.colours import voc_palette
from irn.review import corrections
from irn.review.runs import KEPT, map_of, runs_of
from irn.review.server import Server, listening
from irn.review.session import Session

H, W = map(cells, SIZE)
# Of each image in cells: the middle row and column, and the class, of its two blobs.
BLOBS = [((4, 3), 2), ((8, 11), 3)]


def walk_of(classes: Sequence[int]) -> dict[str, np.ndarray]:
    """A walk with a blob for each class, around which it falls off evenly."""
    rows, columns = np.mgrid[:H, :W]
    maps = [
        np.clip(1 - np.hypot(rows - y, columns - x) / 5, 0, 1) for (y, x), index in BLOBS if index in classes
    ] or np.zeros((0, H, W))
    return {
        "walk": np.array(maps, np.float32),
        "walk_class": np.array([index for _, index in BLOBS if index in classes], np.uint16),
        "walk_instance": np.arange(len(maps), dtype=np.uint32),
        "groups": np.zeros((H, W), int),
    }


def make_run(folder: Path, present: Sequence[Sequence[int]]) -> Path:
    """A run whose labels are those of `walk_of`."""
    made = HandMade(folder, present, truth=False)
    made.write("random_walk", "walk", lambda number, own: walk_of(own.tolist()))
    made.write("make_labels", "label", lambda number, own: labels_of(walk_of(own.tolist()), *SIZE, made.run.settings))
    return folder / "results/mine"


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests leave it as it is."""
    return make_run(tmp_path_factory.mktemp("shared"), [[2, 3], [2], [], [3]])


def label_at(run: Path, classes: Sequence[int], **thresholds: float) -> tuple[np.ndarray, np.ndarray]:
    """Objects and classes of an image at these thresholds, or at the run's."""
    settings = open_session(run).run.settings
    labels = settings.labels.model_copy(update=thresholds)
    return panoptic(labels_of(walk_of(classes), *SIZE, settings.model_copy(update={"labels": labels})))


def sent(objects: np.ndarray, classes: Sequence[int], **more: Any) -> dict[str, Any]:
    """A label as the page sends it."""
    return {"objects": runs_of(objects), "classes": [*map(int, classes)], "thresholds": [0.5, 0.4], **more}


def masks(folder: Path, image_id: str) -> tuple[np.ndarray, np.ndarray]:
    """The class mask and the object mask of an image."""
    names = ("SegmentationClass", "SegmentationObject")
    classes, objects = (read_index_png(folder / name / f"{image_id}.png", *SIZE) for name in names)
    return classes, objects


def read_corrections(run: Path, corrected: Path, out: Path) -> dict[str, dict[str, np.ndarray]]:
    """What the next run makes of a place of corrections."""
    tables = [run / "build_manifest" / name for name in ("manifest.csv", "labels.csv")]
    options = ["--manifest", tables[0], "--labels", tables[1], "--corrected", corrected]
    run_command("read-corrections", *options, "--out", out / "corrected.h5", "--out-labels", out / "labels.csv")
    return read_all(out / "corrected.h5", "ir_label")


def note_in_run(run: Path, corrected: str, stage: Path | None = None) -> None:
    """Let a run have taken corrections from a place, and keep them in the folder of a stage."""
    listed = json.loads((run / "run.json").read_text())
    stages = listed["configurations"][0]["stages"]
    key = run.parents[1] / stages["build_manifest"] / "key.json"
    places = {"places": {"dataset.corrected": corrected}}
    key.write_text(json.dumps(json.loads(key.read_text()) | places), encoding="utf-8")
    if stage:
        stages["read_corrections"] = str(stage)
        (run / "run.json").write_text(json.dumps(listed), encoding="utf-8")


def decisions(folder: Path) -> dict[str, str]:
    """The decision on each image, by id."""
    lines = (folder / "decisions.csv").read_text().splitlines()
    assert lines[0] == "image_id,decision,semantic_threshold,instance_threshold"
    return {line.split(",")[0]: line.split(",")[1] for line in lines[1:]}


# ---- one segmentation from two labels


def slow_panoptic(label: dict[str, np.ndarray]) -> tuple[list[list[int]], list[int]]:
    """The twin: pixel by pixel."""
    semantic, pieces = label["semantic"].tolist(), label["instance_map"].tolist()
    height, width = label["semantic"].shape
    fits = {
        (y, x): pieces[y][x]
        for y in range(height)
        for x in range(width)
        if pieces[y][x]
        and label["instance_score"][pieces[y][x] - 1] > 0
        and label["instance_class"][pieces[y][x] - 1] + 1 == semantic[y][x]
    }
    number, extra, names = {}, len(label["instance_class"]), {}
    seen: set[tuple[int, int]] = set()
    for value in range(1, label["semantic"].max(initial=0) + 1):
        for start in np.argwhere(label["semantic"] == value).tolist():
            if tuple(start) in seen:
                continue
            area, waiting = set(), [tuple(start)]
            while waiting:
                y, x = waiting.pop()
                if (y, x) in area or not (0 <= y < height and 0 <= x < width) or semantic[y][x] != value:
                    continue
                area.add((y, x))
                waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            seen |= area
            own = {spot: fits[spot] for spot in area if spot in fits}
            if not own and len(area) < 0.01 * height * width:
                continue
            extra += not own
            for spot in area:
                least = min((np.hypot(spot[0] - y, spot[1] - x) for y, x in own), default=0)
                near = {piece for (y, x), piece in own.items() if np.hypot(spot[0] - y, spot[1] - x) == least}
                number[spot] = near or {extra}
                names |= dict.fromkeys(number[spot], value - 1)
    return number, names


class TestPanoptic:
    @pytest.mark.parametrize("seed", range(20))
    def test_it_equals_the_twin(self, seed):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 3, (6, 7))
        label = {
            "semantic": np.kron(coarse, np.ones((2, 2), int)).astype(np.uint8),
            "instance_map": rng.integers(0, 5, (12, 14)).astype(np.uint16) * (rng.random((12, 14)) < 0.2),
            "instance_class": np.array([0, 0, 1, 1], np.uint16),
            "instance_score": np.array([1, 0.5, 0.3, 0], np.float32),
        }
        objects, classes = panoptic(label)
        number, names = slow_panoptic(label)
        # Numbers differ, so each of ours has to be one of theirs; at equal distance there are several.
        same: dict[int, set[int]] = {}
        for (y, x), value in np.ndenumerate(objects):
            assert (value > 0) == ((y, x) in number)
            if value:
                same[value] = same.get(value, number[y, x]) & number[y, x]
        assert all(same.values())
        assert [names[min(same[i + 1])] for i in range(len(classes))] == classes.tolist()
        assert np.unique(objects[objects > 0]).tolist() == list(range(1, len(classes) + 1))

    def test_an_image_without_anything(self):
        none = np.zeros(0)
        nothing = {"semantic": np.zeros((4, 5), np.uint8), "instance_map": np.zeros((4, 5), np.uint16)}
        objects, classes = panoptic({**nothing, "instance_class": none, "instance_score": none})
        assert not objects.any()
        assert classes.shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_runs_give_the_map_back(seed):
    numbers = np.random.default_rng(seed).integers(0, 3, (5, 6))
    assert (map_of(runs_of(numbers), 5, 6, 2) == numbers).all()


# ---- a session


class TestSession:
    @pytest.fixture
    def run(self, shared_run, tmp_path) -> Path:
        shutil.copytree(shared_run.parents[1] / "results", tmp_path / "results", symlinks=True)
        return tmp_path / "results/mine"

    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        return tmp_path / "corrected/mine"

    def test_what_is_accepted_is_what_the_page_shows(self, run, folder):
        session = open_session(run)
        label = session.label(0)
        assert session.decide(0, {**label, "action": "accept"})["decision"] == "accepted"
        objects, classes = label_at(run, [2, 3])
        written, numbers = masks(folder, "image_0")
        assert (numbers == objects).all()
        assert (written == np.concatenate([[0], classes + 1])[objects]).all()
        assert classes.tolist() == [2, 3]
        with Image.open(folder / "SegmentationClass/image_0.png") as picture:
            assert picture.getpalette() == voc_palette().ravel().tolist()

    def test_labels_follow_the_thresholds_of_the_image(self, run):
        session = open_session(run)
        objects, classes = label_at(run, [2, 3], semantic_threshold=0.8, instance_threshold=0.7)
        label = session.label(0, (0.8, 0.7))
        assert (map_of(label["objects"], *SIZE, 2) == objects).all()
        assert label["classes"] == classes.tolist()
        assert 0 < (objects > 0).sum() < (map_of(session.label(0)["objects"], *SIZE, 2) > 0).sum()
        assert session.decide(0, {**label, "action": "accept"})["decision"] == "corrected"

    def test_nothing_here_is_a_mask_and_left_out_is_none(self, run, folder):
        session = open_session(run)
        session.decide(0, {"action": "nothing here"})
        session.decide(1, {"action": "left out"})
        classes, objects = masks(folder, "image_0")
        assert not classes.any()
        assert not objects.any()
        assert not (folder / "SegmentationClass/image_1.png").exists()
        assert decisions(folder) == {"image_0": "nothing here", "image_1": "left out"}

    def test_leaving_out_what_was_accepted_removes_its_masks(self, run, folder):
        session = open_session(run)
        session.decide(1, {**session.label(1), "action": "accept"})
        session.decide(1, {"action": "left out"})
        assert not list(folder.rglob("image_1.png"))

    def test_opened_again_it_shows_what_was_decided_and_what_was_begun(self, run):
        objects = np.zeros(SIZE, np.uint8)
        objects[5:20, 6:30], objects[25:40, 2:50] = 1, 2
        before = open_session(run)
        before.decide(0, sent(objects, [3, 3], action="accept"))
        before.begin(3, sent(objects, [0, 2]))
        session = open_session(run)
        states = [(image["id"], image["decision"], image["begun"]) for image in session.overview()["images"]]
        assert states[0] == ("image_0", "corrected", False)
        assert states[1] == ("image_1", None, False)
        assert states[3] == ("image_3", None, True)
        for index, classes in ((0, [3, 3]), (3, [0, 2])):
            label = session.label(index)
            assert (map_of(label["objects"], *SIZE, 2) == objects).all()
            assert label["classes"] == classes

    def test_begun_edits_are_not_corrections(self, run, folder):
        session = open_session(run)
        session.begin(0, sent(np.zeros(SIZE, np.uint8), []))
        assert not list(folder.rglob("*.png"))
        session.decide(0, {**session.label(0), "action": "accept"})
        assert not list((folder / "begun").iterdir())

    @pytest.mark.parametrize("decision", [None, "nothing here", "left out"])
    def test_an_image_whose_edits_are_all_undone_is_as_before_them(self, run, decision):
        session = open_session(run)
        if decision:
            session.decide(0, {"action": decision})
        before = session.label(0)
        objects = np.zeros(SIZE, np.uint8)
        objects[5:20, 6:30] = 1
        assert session.begin(0, sent(objects, [3])) == {"begun": True, "decision": decision}
        assert session.begin(0, before) == {"begun": False, "decision": decision}
        assert session.label(0) == before
        assert not session.overview()["images"][0]["begun"]

    def test_taking_a_decision_back_leaves_nothing_of_it(self, run, folder):
        session = open_session(run)
        own = session.label(0)
        session.decide(0, {"action": "nothing here"})
        assert session.decide(0, {"action": "undecided"})["decision"] is None
        assert decisions(folder) == {}
        assert not list(folder.rglob("*.png"))
        assert session.label(0) == own

    def test_an_object_without_a_pixel_is_not_written(self, run, folder):
        objects = np.zeros(SIZE, np.uint8)
        objects[5:20, 6:30] = 2
        open_session(run).decide(0, sent(objects, [0, 3], action="accept"))
        classes, numbers = masks(folder, "image_0")
        assert set(np.unique(numbers)) == {0, 1}
        assert set(np.unique(classes)) == {0, 4}

    def test_masks_that_another_program_has_saved_are_corrections(self, run, folder):
        class_mask, object_mask = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
        class_mask[5:20, 6:30], class_mask[20:22, 6:30], object_mask[5:20, 6:30] = 3, 255, 7
        save_png(folder / "SegmentationClass/image_1.png", class_mask)
        save_png(folder / "SegmentationObject/image_1.png", object_mask)
        session = open_session(run)
        assert session.overview()["images"][1]["decision"] == "corrected"
        objects = map_of(session.label(1)["objects"], *SIZE, 1)
        assert ((objects == 1) == (object_mask > 0)).all()
        assert ((objects == KEPT) == (class_mask == 255)).all()
        assert session.label(1)["classes"] == [2]

    def test_masks_from_elsewhere_keep_void_and_small_objects_but_where_they_are_painted_over(self, run, folder):
        class_mask = np.zeros(SIZE, np.uint8)
        class_mask[5:20, 6:30], class_mask[20:22, 6:30], class_mask[40, 50], class_mask[30:34, 4:9] = 3, 255, 3, 4
        object_mask = np.where(class_mask == 3, 1, 0).astype(np.uint8)
        object_mask[40, 50] = 2
        for name, objects in (("image_1", None), ("image_0", object_mask)):
            save_png(folder / f"SegmentationClass/{name}.png", class_mask)
            if objects is not None:
                save_png(folder / f"SegmentationObject/{name}.png", objects)
        session = open_session(run)
        assert sorted(session.label(1)["classes"]) == [2, 2, 3]
        assert session.label(0)["classes"] == [2, 2]  # what has class 3 has no object
        for index in (0, 1):
            session.decide(index, {**session.label(index), "action": "accept"})
        assert (masks(folder, "image_1")[0] == class_mask).all()
        written, numbers = masks(folder, "image_0")
        assert (written == class_mask).all()
        assert (numbers == object_mask).all()
        label = session.label(0)
        painted = map_of(label["objects"], *SIZE, 2)
        painted[21, 6:30], painted[30, 4:9] = 1, 0
        session.begin(0, {**label, "objects": runs_of(painted)})
        session.decide(0, {**open_session(run).label(0), "action": "accept"})
        class_mask[21, 6:30], class_mask[30, 4:9] = 3, 0
        assert (masks(folder, "image_0")[0] == class_mask).all()

    def test_masks_with_classes_that_are_not_there_are_told_of(self, run, folder):
        save_png(folder / "SegmentationClass/image_1.png", np.full(SIZE, 30, np.uint8))
        with pytest.raises(IrnError, match=r"image_1\.png: unknown class, value 30"):
            open_session(run).label(1)

    def test_a_mask_that_is_named_by_its_images_file_is_replaced(self, run, folder, tmp_path):
        save_png(folder / "SegmentationClass/IMAGE_1.PNG.png", np.full(SIZE, 3, np.uint8))
        session = open_session(run)
        assert session.overview()["images"][1]["decision"] == "corrected"
        assert session.label(1)["classes"] == [2]
        session.decide(1, {"action": "nothing here"})
        assert not read_corrections(run, folder, tmp_path)["image_1"]["label"].any()
        assert open_session(run).corrections.masks == 1
        save_png(folder / "SegmentationClass/image_1.png", np.full(SIZE, 3, np.uint8))
        with pytest.raises(IrnError, match="two masks of image 'image_1'"):
            open_session(run)

    def test_more_objects_than_a_mask_holds_are_left_out_until_another_threshold_gives_fewer(self, run, folder):
        class_mask = np.zeros(SIZE, np.uint8)
        class_mask[::2, ::2] = 3
        save_png(folder / "SegmentationClass/image_1.png", class_mask)
        session = open_session(run)
        label = session.label(1)
        assert label["too_many"] == (class_mask > 0).sum() > 254
        assert not map_of(label["objects"], *SIZE, 0).any()
        assert session.label(1, (0.5, 0.4))["too_many"] == 0
        assert session.label(1, (0.5, 0.4))["classes"] == [2]

    def test_the_next_run_takes_over_what_was_decided(self, run, folder, tmp_path):
        session = open_session(run)
        objects = np.zeros(SIZE, np.uint8)
        objects[5:20, 6:30], objects[5:20, 30:40] = 1, 2
        session.decide(0, sent(objects, [3, 3], action="accept"))
        session.decide(1, {"action": "nothing here"})
        session.decide(2, {"action": "left out"})
        session.begin(3, session.label(3))
        corrected = read_corrections(run, folder, tmp_path)
        assert corrected.keys() == {"image_0", "image_1"}
        assert (corrected["image_0"]["instances"] == objects).all()
        assert (corrected["image_0"]["label"] == 4 * (objects > 0)).all()
        assert not corrected["image_1"]["label"].any()

    def test_a_run_that_has_taken_corrections_is_reviewed_further_in_their_folder(self, run, folder, tmp_path):
        open_session(run).decide(0, {"action": "nothing here"})
        folder.parent.rename(tmp_path / "by_hand")
        note_in_run(run, "by_hand/mine")
        session = open_session(run)
        assert session.corrections.folder.absolute() == tmp_path / "by_hand/mine"
        assert session.overview()["images"][0]["decision"] == "nothing here"

    def test_corrections_of_another_format_are_not_lost_when_the_reviewed_folder_replaces_them(
        self, run, folder, tmp_path
    ):
        shapes = [
            {"label": name, "shape_type": "polygon", "points": [[x, 4], [x + 12, 4], [x + 12, 20], [x, 20]]}
            for name, x in (("dog", 4), ("dog", 16), ("__ignore__", 40))
        ]
        content = {"version": "5.0", "imageHeight": SIZE[0], "imageWidth": SIZE[1], "flags": {}}
        (tmp_path / "drawn").mkdir()
        for name, own in (("image_1", shapes), ("image_3", [])):
            path = tmp_path / f"drawn/{name}.json"
            path.write_text(json.dumps({**content, "imagePath": f"{name}.png", "shapes": own}), encoding="utf-8")
        (tmp_path / "stage").mkdir()
        before = read_corrections(run, tmp_path / "drawn", tmp_path / "stage")
        note_in_run(run, "drawn", tmp_path / "stage")
        session = open_session(run)
        assert session.corrections.folder.absolute() == folder
        assert [image["decision"] for image in session.overview()["images"]] == [None, "corrected", None, "corrected"]
        after = read_corrections(run, folder, tmp_path)
        assert after.keys() == before.keys() == {"image_1", "image_3"}
        for image_id, arrays in before.items():
            assert all((after[image_id][name] == array).all() for name, array in arrays.items())
        session.decide(1, {"action": "nothing here"})
        assert open_session(run).overview()["images"][1]["decision"] == "nothing here"

    def test_the_most_doubtful_comes_first(self, run):
        assert [image["id"] for image in open_session(run).overview()["images"]][:2] == ["image_0", "image_1"]
        (run / "doubt.csv").write_text("image_id,doubt\nimage_3,0.9\nimage_1,0.4\n", encoding="utf-8")
        session = open_session(run)
        assert [image["id"] for image in session.overview()["images"]] == ["image_3", "image_1", "image_0", "image_2"]
        assert session.overview()["order"] == "the most doubtful first"

    def test_corrections_lie_where_neither_the_store_nor_a_new_run_removes_them(self, run, folder):
        assert open_session(run).corrections.folder.absolute() == folder
        assert not folder.is_relative_to(run.parent)


# ---- the server


@contextlib.contextmanager
def served(session: Session) -> Iterator[Server]:
    with listening(session, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(
    server: Server, path: str, method: str = "GET", body: bytes | None = None, **headers: str | None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to a request like the page's, with other headers where they are given."""
    usual = {"Host": f"127.0.0.1:{server.server_port}", "Cookie": f"{server.cookie}={server.token}"}
    if method == "POST":
        usual |= {"Content-Type": "application/json", "Content-Length": str(len(body or b""))}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {**usual, **named}.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    result = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return result


PATHS = ["/", "/review.js", "/review.css", "/overview", "/photographs/0", "/labels/0", "/nothing", "/favicon.ico"]


class TestServer:
    @pytest.fixture
    def server(self, shared_run, tmp_path) -> Iterator[Server]:
        with served(open_session(shared_run, tmp_path / "corrected")) as server:
            yield server

    def test_the_page_and_all_that_it_loads(self, server):
        for path in PATHS[:6]:
            status, headers, body = ask(server, path)
            assert (status, bool(body)) == (200, True), path
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert not [name for name in headers if name.startswith("Access-Control")]
        assert ask(server, "/photographs/0")[2][:2] == b"\xff\xd8"

    def test_the_token_of_the_address_opens_the_page_and_leaves_a_cookie(self, server):
        status, headers, _ = ask(server, f"/?token={server.token}", Cookie=None, Sec_Fetch_Site="cross-site")
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
        own = cookie.partition(";")[0]
        for others in (own, f'theme={{"dark": 1}}; {own}', f"{own}; a,b = c"):
            assert ask(server, "/overview", Cookie=others)[0] == 200

    @pytest.mark.parametrize("path", PATHS)
    def test_nothing_is_given_without_the_token(self, server, path):
        for cookie in (None, "", f"{server.cookie}=wrong", "irn_review=x; ;;=", f"other={server.token}"):
            status, headers, body = ask(server, path, Cookie=cookie)
            assert (status, "Set-Cookie" in headers) == (403, False)
            assert server.token.encode() not in body
        assert ask(server, path + "?token=wrong", Cookie=None)[0] == 403

    def test_a_token_in_other_addresses_than_the_pages_is_none(self, server):
        assert ask(server, f"/overview?token={server.token}", Cookie=None)[0] == 403

    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "attacker.example"},
            {"Host": "127.0.0.1.attacker.example"},
            {"Host": "attacker.example:80"},
            {"Host": None},
            {"Origin": "http://attacker.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
        ],
    )
    def test_other_hosts_and_other_origins_are_refused_even_with_the_token(self, server, headers):
        assert ask(server, "/labels/0", **headers)[0] == 403
        assert ask(server, "/decisions/0", "POST", b'{"action": "nothing here"}', **headers)[0] == 403
        assert not server.session.corrections.folder.exists()

    def test_a_port_that_ssh_forwards_is_this_host(self, server):
        assert ask(server, "/overview", Host="localhost:9999", Origin="http://localhost:9999")[0] == 200

    @pytest.mark.parametrize(
        "path",
        [
            *("/../../etc/passwd", "/review.js/../session.py", "/page/review.js", "/%2e%2e/server.py", "//etc/passwd"),
            *("/photographs/../labels", "/photographs/4", "/photographs/-1", "/photographs/0x0"),
            *("/photographs/image_0", "/photographs/0/", "/photographs/" + 30 * "9", "/labels/99"),
        ],
    )
    def test_no_path_leads_out_of_the_page_and_its_images(self, server, path):
        assert ask(server, path)[0] == 404

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "TRACE"])
    def test_other_methods_are_not_there(self, server, method):
        assert ask(server, "/decisions/0", method)[0] == 501

    @pytest.mark.parametrize(
        ("body", "headers", "status"),
        [
            (b"{}", {"Content_Type": "text/plain"}, 415),
            (b"{}", {"Content_Type": "application/x-www-form-urlencoded"}, 415),
            (b"{}", {"Content_Length": None}, 411),
            (b"{}", {"Content_Length": "-2"}, 411),
            (b"{}", {"Content_Length": "99999999"}, 413),
            (b"{", {}, 400),
            (b"[]", {}, 400),
            (b"[" * 50000, {}, 400),
            (b"\xff", {}, 400),
            (b"{}", {}, 409),
            (b'{"stamp": STAMP}', {}, 422),
            (b'{"stamp": STAMP, "action": "../../x"}', {}, 422),
        ],
    )
    def test_bodies_that_are_no_decision_are_refused(self, server, body, headers, status):
        body = body.replace(b"STAMP", json.dumps(server.stamp(0)).encode())
        assert ask(server, "/decisions/0", "POST", body, **headers)[0] == status
        assert not server.session.corrections.folder.exists()

    @pytest.mark.parametrize(
        "change",
        [
            {"objects": [1]},
            {"objects": [0, SIZE[0] * SIZE[1] - 1]},
            {"objects": [0, -1, 0, SIZE[0] * SIZE[1] + 1]},
            {"objects": [3, SIZE[0] * SIZE[1]]},
            {"objects": [0.5, SIZE[0] * SIZE[1]]},
            {"objects": [True, SIZE[0] * SIZE[1]]},
            {"objects": [0, 10**30]},
            {"objects": "00"},
            {"objects": None},
            {"classes": [99, 0]},
            {"classes": [-1, 0]},
            {"classes": ["dog", 0]},
            {"classes": 255 * [0]},
            {"classes": None},
            {"thresholds": [0.5]},
            {"thresholds": [0.5, 7]},
            {"thresholds": [0.5, "0.4"]},
            {"thresholds": [0.5, float("nan")]},
        ],
    )
    def test_labels_that_are_none_of_the_image_are_refused(self, server, change):
        label = {**server.session.label(0), "stamp": server.stamp(0), "action": "accept", **change}
        for path in ("/decisions/0", "/begun/0"):
            status, _, body = ask(server, path, "POST", json.dumps(label).encode())
            assert status == 422
            assert "error" in json.loads(body)
        assert not server.session.corrections.folder.exists()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"review": "another"}, "of an earlier review. Reload it."),
            ({"image_id": "image_1"}, "of an earlier review. Reload it."),
            ({"version": 1}, "changed in another tab"),
        ],
    )
    def test_a_page_that_is_out_of_date_writes_nothing(self, server, change, words):
        body = {"action": "nothing here", "stamp": {**server.stamp(0), **change}}
        for path in ("/decisions/0", "/begun/0"):
            status, _, answer = ask(server, path, "POST", json.dumps(body).encode())
            assert status == 409
            assert words in json.loads(answer)["error"]
        assert not server.session.corrections.folder.exists()

    def test_what_is_being_written_when_the_server_ends_is_written_to_its_end(self, shared_run, tmp_path, monkeypatch):
        begun, write = threading.Event(), corrections.write_index_png

        def slowly(path: Path, mask: np.ndarray) -> None:
            begun.set()
            time.sleep(0.2)
            write(path, mask)

        monkeypatch.setattr(corrections, "write_index_png", slowly)
        with served(open_session(shared_run, tmp_path / "corrected")) as server:
            body = json.dumps({"action": "nothing here", "stamp": server.stamp(0)}).encode()
            sender = threading.Thread(target=ask, args=(server, "/decisions/0", "POST", body))
            sender.start()
            assert begun.wait(10)
        assert decisions(tmp_path / "corrected") == {"image_0": "nothing here"}
        assert not masks(tmp_path / "corrected", "image_0")[1].any()
        sender.join()

    @pytest.mark.parametrize("query", ["semantic=0.5", "semantic=a&instance=b", "x=1"])
    def test_thresholds_that_are_none(self, server, query):
        assert ask(server, f"/labels/0?{query}")[0] == 400
        assert ask(server, "/labels/0?semantic=nan&instance=0.5")[0] == 422
        assert ask(server, "/labels/0?semantic=0.5&instance=1e9")[0] == 422

    def test_it_listens_on_this_machine_alone(self, server):
        assert server.socket.getsockname()[0] == "127.0.0.1"

    def test_an_image_that_cannot_be_read_is_told_of(self, server, shared_run):
        path = server.session.run.images[1].path
        content = path.read_bytes()
        path.write_bytes(b"")
        try:
            status, _, body = ask(server, "/photographs/1")
            assert status == 422
            assert "the file is empty" in json.loads(body)["error"]
        finally:
            path.write_bytes(content)


# ---- the command


class TestCommand:
    def test_from_the_first_look_to_the_next_command(self, capsys, tmp_path):
        run = make_run(tmp_path, [[2], [3]])
        command = [sys.executable, "-m", "irn", "review", "--run", str(run), "--port", "0", "--no-browser"]
        environment = {**os.environ, "SSH_CONNECTION": "10.0.0.1 50000 10.0.0.2 22"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(4)]
            address = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", said[1])
            assert address
            port, token = address.groups()
            assert f"ssh -L {port}:127.0.0.1:{port} 10.0.0.2" in said[2]
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
            headers = {"Cookie": f"irn_review_{port}={token}", "Content-Type": "application/json"}
            connection.request("GET", "/overview", headers=headers)
            stamp = json.loads(connection.getresponse().read())["images"][1]["stamp"]
            body = json.dumps({"action": "nothing here", "stamp": stamp})
            connection.request("POST", "/decisions/1", body, headers)
            assert connection.getresponse().status == 200
            connection.close()
            second = refused(capsys, tmp_path, "review", "--run", run, "--port", 0)
            assert "corrected/mine: another irn review is open on this folder" in second
            process.send_signal(signal.SIGINT)
            said += process.stdout.readlines()
        assert process.returncode == 0
        assert said[0] == "corrections: corrected/mine/, 0 of 2 images decided\n"
        assert "1 of 2 images decided: 1 nothing here\n" in said
        assert said[-1].endswith("--config 'dataset={corrected: corrected/mine}'\n")

    def test_a_folder_that_is_not_a_run(self, capsys, tmp_path):
        assert "expected results/<run>" in refused(capsys, tmp_path, "review", "--run", tmp_path)

    def test_a_run_without_labels(self, capsys, tmp_path):
        HandMade(tmp_path, [[2]])
        said = refused(capsys, tmp_path, "review", "--run", tmp_path / "results/mine")
        assert "no labels to review; run snakemake first" in said

    def test_images_that_are_gone(self, capsys, tmp_path):
        run = make_run(tmp_path, [[2], [3], [2]])
        for name in ("image_1.png", "image_2.png"):
            (tmp_path / "data/images" / name).unlink()
        said = refused(capsys, tmp_path, "review", "--run", run)
        assert "image_1.png: no such image (and 1 more of 3 images)" in said

    def test_a_port_that_is_taken(self, capsys, tmp_path):
        run = make_run(tmp_path, [[2]])
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            said = refused(capsys, tmp_path, "review", "--run", run, "--port", port)
        assert f"port {port}: cannot be listened on" in said
        assert "--port" in said

    @pytest.mark.parametrize("port", ["-1", "65536", "http"])
    def test_what_is_no_port(self, capsys, tmp_path, port):
        assert "is not a port" in refused(capsys, tmp_path, "review", "--run", tmp_path, f"--port={port}")

    def test_a_table_of_decisions_or_of_doubt_that_is_none(self, capsys, tmp_path):
        run = make_run(tmp_path, [[2]])
        (run / "doubt.csv").write_text("image\nimage_0\n", encoding="utf-8")
        assert "column 'image_id' is missing" in refused(capsys, tmp_path, "review", "--run", run)
        (run / "doubt.csv").unlink()
        (tmp_path / "out").mkdir()
        (tmp_path / "out/decisions.csv").write_text("image_id,decision\nimage_0,perhaps\n", encoding="utf-8")
        assert "decisions.csv" in refused(capsys, tmp_path, "review", "--run", run, "--out", tmp_path / "out")
        said = refused(capsys, tmp_path, "review", "--run", run, "--out", tmp_path / "out/decisions.csv")
        assert "is a file, expected a folder" in said


# ---- in a browser


class Page:
    """The page in a browser, used by keys and pointer as a person would."""

    def __init__(self, browser: webdriver.Chrome, server: Server, width: int = 1400) -> None:
        self.browser, self.server = browser, server
        browser.get_log("browser")
        set_width(browser, width)
        browser.get(server.address)
        self.wait()

    def wait(self) -> None:
        """Until an image is shown, and everything is saved."""
        loaded = "typeof image !== 'undefined' && image !== null"
        script = f"return {loaded} && !wanted && !relabelling && !timer && !unsaved.length && !linesAsked"
        WebDriverWait(self.browser, 20, 0.01).until(lambda driver: driver.execute_script(script))

    def type(self, *keys: str) -> None:
        """Press keys one after another, without a look at what they do."""
        ActionChains(self.browser, 0).send_keys(*keys).perform()

    def press(self, *keys: str) -> None:
        """Press keys, and wait after each."""
        for key in keys:
            self.type(key)
            self.wait()

    def text(self, name: str) -> str:
        return self.browser.find_element(By.ID, name).text

    @property
    def image_id(self) -> str:
        return self.text("image-id")

    @property
    def objects(self) -> list[str]:
        """The class of each object in the list."""
        return [
            Select(each).first_selected_option.text
            for each in self.browser.find_elements(By.CSS_SELECTOR, "#objects select")
        ]

    def at(self, y: float, x: float) -> tuple[float, float]:
        """Where a pixel of the image is on the screen, in pixels from the top and the left."""
        box = self.browser.execute_script("return document.getElementById('stage').getBoundingClientRect()")
        return box["top"] + box["height"] * y / SIZE[0], box["left"] + box["width"] * x / SIZE[1]

    def painted(self) -> np.ndarray:
        """The object numbers on the page."""
        values = self.browser.execute_script("return [...image.objects]")
        return np.array(values).reshape(SIZE)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """With the mouse, from one pixel of the image to another."""
        actions = ActionChains(self.browser, 0)
        for number, spot in enumerate((start, end)):
            y, x = self.at(*spot)
            actions.w3c_actions.pointer_action.move_to_location(round(x), round(y))
            if not number:
                actions.w3c_actions.pointer_action.pointer_down()
        actions.w3c_actions.pointer_action.pointer_up()
        actions.perform()
        self.wait()

    def silent(self) -> bool:
        """Whether the console has said nothing."""
        return self.browser.get_log("browser") == []


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    driver = start_browser()
    yield driver
    driver.quit()


@in_browser
class TestInABrowser:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        return tmp_path / "corrected"

    @pytest.fixture
    def page(self, browser, shared_run, folder) -> Iterator[Page]:
        with served(open_session(shared_run, folder)) as server:
            yield Page(browser, server)
            browser.get("about:blank")

    def test_two_dozen_images_by_keys_alone(self, browser, tmp_path):
        classes = [[[2, 3], [2], [3], []][number % 4] for number in range(24)]
        run = make_run(tmp_path, classes)
        keys = ["a", Keys.ENTER, "n", "x", "raise", "remove"]
        plan = {f"image_{number}": keys[number % 6] for number in range(24)}
        with served(open_session(run)) as server:
            page = Page(browser, server, 700)
            for _ in range(24):
                key = plan[page.image_id]
                page.type(*{"raise": "SSa", "remove": "1da"}.get(key, key))
                page.wait()
            WebDriverWait(browser, 20).until(lambda driver: driver.find_element(By.ID, "next-text").is_displayed())
            assert "24 of 24 decided" in page.text("next-counts")
            assert "corrected/mine" in page.text("next-line")
            assert page.silent()
        decided = decisions(tmp_path / "corrected/mine")
        assert len(decided) == 24
        for number, own in enumerate(classes):
            image_id, key = f"image_{number}", plan[f"image_{number}"]
            usual = {"a": "accepted", Keys.ENTER: "accepted", "n": "nothing here", "x": "left out"}
            if key in usual:
                assert decided[image_id] == usual[key]
            elif own:
                assert decided[image_id] == ("nothing here" if key == "remove" and len(own) == 1 else "corrected")
            if key == "x":
                continue
            of_classes, objects = masks(tmp_path / "corrected/mine", image_id)
            raised = {"semantic_threshold": 0.54} if key == "raise" else {}
            expected, names = label_at(run, own, **raised)
            expected = np.where(expected == 1, 0, expected) if key == "remove" else expected * (key != "n")
            assert (of_classes == np.concatenate([[0], names + 1])[expected]).all()
            assert ((objects > 0) == (expected > 0)).all()

    def test_what_was_decided_and_begun_is_there_when_the_page_is_opened_again(self, browser, shared_run, folder, page):
        page.press("a")
        page.press("1", "d")
        assert page.objects == []
        browser.get("about:blank")
        with served(open_session(shared_run, folder)) as server:
            again = Page(browser, server)
            assert again.image_id == "image_1"
            assert again.text("decision") == "edited, not decided"
            assert again.objects == []
            assert again.text("progress").startswith("1 of 4 decided: 1 accepted")
            again.press(Keys.ARROW_LEFT)
            assert again.text("decision") == "accepted"

    def test_objects_are_selected_renamed_and_removed_and_that_is_undone(self, page, folder):
        assert page.objects == ["a & b {{ 7 * 7 }}", "dog"]
        page.press("1", "c", "d", Keys.ENTER)
        assert page.objects == ["dog", "dog"]
        page.press("o", "d")
        assert page.objects == ["dog"]
        page.press("u")
        assert page.objects == ["dog", "dog"]
        assert page.text("decision") == "edited, not decided"
        page.press("u")
        assert page.objects == ["a & b {{ 7 * 7 }}", "dog"]
        assert page.text("decision") == ""
        page.press("U")
        page.press("a")
        assert set(np.unique(masks(folder, "image_0")[0])) == {0, 4}

    def test_after_a_class_was_picked_with_the_mouse_keys_decide_and_do_not_pick_another(self, page, folder):
        Select(page.browser.find_element(By.ID, "class-1")).select_by_visible_text("dog")
        page.press("a")
        assert page.image_id == "image_1"
        assert set(np.unique(masks(folder, "image_0")[0])) == {0, 4}

    def test_thresholds_change_the_label_at_once(self, page, shared_run, folder):
        before = page.painted()
        page.press("S", "S", "S", "i")
        expected, _ = label_at(shared_run, [2, 3], semantic_threshold=0.56, instance_threshold=0.38)
        assert (page.painted() == expected).all()
        assert (expected > 0).sum() < (before > 0).sum()
        page.press("u", "u")
        assert (page.painted() == before).all()
        page.press("U")
        page.press("a")
        assert decisions(folder) == {"image_0": "corrected"}
        assert "image_0,corrected,0.56,0.4" in (folder / "decisions.csv").read_text()

    def test_the_mouse_paints_erases_and_selects(self, page, folder):
        page.press("e")
        page.drag((16, 0), (16, 59))
        assert not page.painted()[15:17].any()
        page.press("v")
        before = page.painted()
        page.drag((32, 44), (32, 44))
        assert page.browser.find_element(By.CSS_SELECTOR, "#objects .selected").text.startswith("2")
        page.press("b")
        page.drag((45, 4), (45, 20))
        assert (page.painted()[45, 4:20] == 2).all()
        page.press("u")
        assert (page.painted() == before).all()
        page.press("p")
        page.drag((4, 40), (4, 55))
        assert (page.painted()[4, 40:55] == 3).all()
        assert len(page.objects) == 3
        page.press("a")
        classes, objects = masks(folder, "image_0")
        assert (objects[4, 40:55] == objects.max()).all()
        assert set(np.unique(classes[4, 40:55])) == {3}

    def test_keys_paint(self, page):
        page.press("v", Keys.ESCAPE, "p", *8 * [Keys.ARROW_UP], " ")
        first = page.painted() == 3
        assert first.any()
        ActionChains(page.browser, 0).key_down(Keys.SHIFT).send_keys(*6 * [Keys.ARROW_LEFT]).key_up(
            Keys.SHIFT
        ).perform()
        page.wait()
        assert (page.painted() == 3).sum() > first.sum()
        assert ((page.painted() == 3) >= first).all()

    def test_arrows_move_the_view_of_an_enlarged_image_and_else_change_the_image(self, page):
        view = "return [scroller.scrollLeft, scroller.scrollTop]"
        page.press("z", "z", "z")
        before = page.browser.execute_script(view)
        page.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
        assert all(page.browser.execute_script(view)[axis] > before[axis] for axis in (0, 1))
        assert page.image_id == "image_0"
        page.press("0", Keys.ARROW_RIGHT)
        assert page.image_id == "image_1"

    def test_starting_over_takes_edits_and_decision_back_and_undo_brings_edits_again(self, page, folder):
        own = page.painted()
        page.press("1", "d", "r")
        assert (page.painted() == own).all()
        page.press("u")
        assert len(page.objects) == 1
        page.press("n")
        page.press(Keys.ARROW_LEFT)
        assert page.text("decision") == "nothing here"
        page.press("r")
        assert (page.painted() == own).all()
        assert decisions(folder) == {}

    def test_a_key_that_is_held_decides_on_one_image(self, page, folder):
        event = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', repeat: true, bubbles: true}))"
        page.browser.execute_script(3 * f"{event};")
        page.wait()
        assert not folder.exists()

    def test_every_key_is_explained(self, page):
        page.press("?")
        words = page.text("help-text")
        for key in [*"ANXRJKGHZSIODCBPEVU", "Enter", "Esc", "Space", "Shift"]:
            assert re.search(rf"\b{key}\b", words), key
        page.press(Keys.ESCAPE)
        assert not page.browser.find_element(By.ID, "help-text").is_displayed()

    def test_names_are_names_and_nothing_else(self, page):
        options = Select(page.browser.find_element(By.ID, "new-class")).options
        assert sorted(option.text for option in options) == sorted(NAMES)
        assert page.browser.execute_script("return window.hit") is None
        assert page.silent()

    def test_the_token_leaves_the_address(self, page):
        assert page.browser.current_url == f"http://127.0.0.1:{page.server.server_port}/"
        page.browser.refresh()
        page.wait()
        assert page.image_id == "image_0"

    def test_what_cannot_be_saved_is_told_and_saved_later(self, page, folder):
        folder.parent.mkdir(exist_ok=True)
        folder.write_text("in the way")
        ActionChains(page.browser, 0).send_keys("n").perform()
        WebDriverWait(page.browser, 20).until(lambda driver: "image_0 is not saved yet" in page.text("failure"))
        folder.unlink()
        page.wait()
        assert decisions(folder) == {"image_0": "nothing here"}
        assert page.text("failure") == ""

    def test_a_decision_that_is_refused_is_told_of_and_those_after_it_are_saved(self, page, folder, monkeypatch):
        def refuse(decide: Callable[..., Any], index: int, label: dict[str, Any]) -> Any:
            if index == 0:
                raise IrnError("no room for a mask")
            return decide(index, label)

        monkeypatch.setattr(page.server.session, "decide", functools.partial(refuse, page.server.session.decide))
        page.press("a", "n")
        assert page.text("failure") == "image_0 is not saved: no room for a mask"
        assert page.text("progress").startswith("1 of 4 decided: 1 nothing here")
        assert decisions(folder) == {"image_1": "nothing here"}
        monkeypatch.undo()
        page.press("j", "j", "a")
        assert page.text("failure") == ""
        assert decisions(folder) == {"image_1": "nothing here", "image_0": "accepted"}

    def test_of_two_tabs_the_one_that_is_out_of_date_shows_the_image_anew(self, page, folder):
        body = {"action": "nothing here", "stamp": page.server.stamp(0)}
        assert ask(page.server, "/decisions/0", "POST", json.dumps(body).encode())[0] == 200
        page.press("1", "d")
        WebDriverWait(page.browser, 20).until(lambda driver: "image_0 is not saved" in page.text("failure"))
        page.wait()
        assert "changed in another tab" in page.text("failure")
        assert page.objects == []
        assert page.text("decision") == "nothing here"
        assert decisions(folder) == {"image_0": "nothing here"}
        page.press("a", "n")
        assert page.text("failure") == ""

    def test_a_page_of_an_earlier_review_says_so_and_writes_nothing(self, page, folder):
        page.server.review = "begun later"
        page.type("n")
        WebDriverWait(page.browser, 20).until(lambda driver: page.text("failure"))
        assert "image_0 is not saved: this page is of an earlier review. Reload it." in page.text("failure")
        page.type("kk")
        WebDriverWait(page.browser, 20).until(lambda driver: "cannot be shown: this page is of" in page.text("status"))
        assert not folder.exists()

    def test_a_key_during_a_stroke_ends_it(self, page, folder, shared_run):
        page.press("2", "b")
        pointer = ActionChains(page.browser, 0)
        for number, spot in enumerate([(45, 4), (45, 20)]):
            y, x = page.at(*spot)
            pointer.w3c_actions.pointer_action.move_to_location(round(x), round(y))
            if not number:
                pointer.w3c_actions.pointer_action.pointer_down()
        pointer.perform()
        page.press("a")
        own = page.painted()
        assert page.image_id == "image_1"
        assert (own == label_at(shared_run, [2])[0]).all()
        pointer = ActionChains(page.browser, 0)
        for spot in [(4, 4), (40, 55)]:
            y, x = page.at(*spot)
            pointer.w3c_actions.pointer_action.move_to_location(round(x), round(y))
        pointer.w3c_actions.pointer_action.pointer_up()
        pointer.perform()
        page.wait()
        assert (page.painted() == own).all()
        assert set(np.unique(masks(folder, "image_0")[0][45, 4:20])) == {4}

    def test_back_at_an_image_that_is_still_being_saved_it_shows_what_was_decided(self, page, folder, monkeypatch):
        def slowly(decide: Callable[..., Any], *arguments: Any) -> Any:
            time.sleep(0.3)
            return decide(*arguments)

        monkeypatch.setattr(page.server.session, "decide", functools.partial(slowly, page.server.session.decide))
        page.type("1", "d", "a", "j")
        page.wait()
        assert page.image_id == "image_0"
        assert page.objects == ["dog"]
        assert page.text("decision") == "corrected"

    def test_thresholds_without_a_label_are_not_kept(self, page, folder, monkeypatch):
        def refuse(label: Callable[..., Any], index: int, thresholds: Any = None) -> Any:
            if thresholds is not None:
                raise IrnError("the walk cannot be read")
            return label(index)

        monkeypatch.setattr(page.server.session, "label", functools.partial(refuse, page.server.session.label))
        page.press("S")
        assert "the walk cannot be read" in page.text("status")
        assert page.text("semantic-value") == "0.50"
        page.type("Sa")
        page.wait()
        assert page.image_id == "image_0"
        page.press("a")
        assert "image_0,accepted,0.5,0.4" in (folder / "decisions.csv").read_text()

    def test_images_that_cannot_be_shown_are_not_those_before_them(self, browser, shared_run, folder):
        crowded = np.zeros(SIZE, np.uint8)
        crowded[::2, ::2] = 3
        save_png(folder / "SegmentationClass/image_0.png", crowded)
        save_png(folder / "SegmentationClass/image_2.png", np.full(SIZE, 30, np.uint8))
        with served(open_session(shared_run, folder)) as server:
            page = Page(browser, server)
            assert page.image_id == "image_1"
            page.type("k")
            WebDriverWait(browser, 20).until(lambda driver: "value 30" in page.text("status"))
            assert page.image_id == "image_2"
            assert not browser.find_element(By.ID, "photograph").is_displayed()
            page.type("x")
            page.wait()
            assert decisions(folder) == {"image_0": "corrected", "image_2": "left out"}
            page.press("j", "j", "j")
            assert page.image_id == "image_0"
            assert "raise a threshold" in page.text("status")
            page.press("a", "p", " ")
            assert (read_index_png(folder / "SegmentationClass/image_0.png", *SIZE) == crowded).all()
            page.press("S", "a")
            expected, names = label_at(shared_run, [2, 3], semantic_threshold=0.52)
            assert (masks(folder, "image_0")[0] == np.concatenate([[0], names + 1])[expected]).all()
            browser.get("about:blank")

    def test_fingers_paint_on_a_phone(self, browser, shared_run, folder):
        with served(open_session(shared_run, folder)) as server:
            page = Page(browser, server, 390)
            assert browser.execute_script("return document.documentElement.scrollWidth") == 390
            browser.find_element(By.ID, "help").click()
            assert browser.execute_script("return document.getElementById('help-text').scrollTop") == 0
            page.press(Keys.ESCAPE)
            page.browser.find_element(By.ID, "erase").click()
            place = page.at(0, 0)
            browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
            for kind, spot in (("touchStart", (16, 5)), ("touchMove", (16, 50)), ("touchEnd", None)):
                points = [dict(zip("yx", page.at(*spot), strict=True))] if spot else []
                browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
            page.wait()
            assert page.at(0, 0) == place
            assert not page.painted()[16, 5:50].any()
            assert page.painted()[:10].any()
            buttons = browser.find_elements(By.CSS_SELECTOR, "#decide button")
            assert all(
                button.rect["height"] >= 42 and button.rect["x"] + button.rect["width"] <= 390 for button in buttons
            )
            before = page.image_id
            browser.find_element(By.ID, "accept").click()
            WebDriverWait(browser, 20).until(lambda driver: page.image_id != before)
            page.wait()
            assert decisions(folder) == {"image_0": "corrected"}
            assert page.silent()
            browser.get("about:blank")
