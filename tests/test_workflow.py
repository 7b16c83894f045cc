"""The workflow end to end on a smaller demonstration."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import FINAL, ROOT, SMALL, rules_to_run, save_png, snakemake

from irn.ops.metrics import mean_names
from irn.settings.reading import read_config
from irn.workflow.options import METRICS
from irn.workflow.run import Run
from irn.workflow.stages import ALL_STAGES, EXPORTS, STAGES

PER_IMAGE = [stage.name for stage in STAGES if stage.per_image and stage.name != "refine_cams"]


def test_results_are_seen_in_the_folder_of_the_run(finished: Path) -> None:
    run = finished / "results/small"
    with open(run / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["stage", "split", "metric", "class", "value", "images"]
    assert {(row["stage"], row["metric"]) for row in rows if row["class"] == "mean"} == {
        ("cam", "mIoU"), ("semantic", "mIoU"),
        *(("instance", metric) for metric in ("AP25", "AP50", "AP70", "AP75", "AP", *mean_names(by_size=True))),
    }  # fmt: skip
    assert {row["images"] for row in rows} == {"20"}
    for stage in PER_IMAGE:
        with h5py.File(run / stage / "0-of-1.h5") as file:
            assert file.attrs["format_version"] == 1
            assert len(file) == 20
            assert json.loads(file.attrs["provenance"])["settings"]
    for stage in ("train_cam", "train_irn"):
        lines = [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]
        assert all(np.isfinite(line["loss"]) for line in lines if line["event"] == "step")
    assert len(list((run / "show/panels").glob("*.png"))) == 2


def test_nothing_is_left_to_do_and_nothing_half_written(finished: Path) -> None:
    result = snakemake(finished, "--dry-run")
    assert "Nothing to be done" in result.stdout + result.stderr
    assert not list(finished.rglob("*.partial"))


def test_the_files_of_each_stage_are_those_that_the_store_names(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    for recipe in Run(read_config([Path("small.yaml")])).shown:
        found = [
            path
            for path in recipe.folder.rglob("*")
            if "data" not in path.parts and "panels" not in path.parts and path.is_file()
        ]
        about = ("key.json", "benchmark.tsv")
        found = [path for path in found if not path.name.endswith((*about, ".log"))]
        wanted = [Path(file) for file in recipe.files() if not Path(file).is_dir()]
        assert set(found) == set(wanted)
        assert all(Path(file).exists() for file in recipe.files())


def test_logs_hold_no_progress_bars(finished: Path) -> None:
    logs = list((finished / "results/store").rglob("*.log"))
    # Each stage's folder, and the report.
    assert len(logs) == len([path for path in (finished / "results/small").iterdir() if not path.is_file()]) + 1
    for log in logs:
        said = log.read_text()
        assert "\r" not in said, log
        assert "%|" not in said, log


def test_an_ablation_reads_what_there_is_and_is_seen_in_the_folder_of_the_run(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    assert rules_to_run(tmp_path, "--config", "ablation=true", "seeds=[0, 1]", "--until", "ablation") == {"ablation"}
    made = snakemake(tmp_path, "--config", "ablation=true")
    assert made.returncode == 0, made.stderr
    table = pd.read_csv(tmp_path / "results/small/ablation.csv").set_index(["labels", "variant"])
    assert set(table["images"]) == {20}
    thresholds = pd.read_csv(tmp_path / "results/small/evaluate/thresholds.csv").set_index("threshold")["mIoU"]
    assert table["mIoU"]["semantic", "CAM"] == thresholds[table["threshold"]["semantic", "CAM"]]
    assert "CAM + boundary" in (tmp_path / "results/small/ablation.svg").read_text()
    # Without it the table is not shown any more.
    assert snakemake(tmp_path).returncode == 0
    assert not (tmp_path / "results/small/ablation.csv").is_symlink()


def test_results_of_other_settings_are_not_shown_and_those_taken_back_are(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    shown = tmp_path / "results/small"
    (shown / "mine").symlink_to("/")
    before = {path: path.readlink() for path in shown.rglob("*") if path.is_symlink()}
    arguments = ("--config", "labels={semantic_threshold: 1.0}")
    assert (
        snakemake(tmp_path, *arguments, "--until", "make_manifest", "--dry-run").returncode == 2
    )  # such a rule there is not
    assert {path: path.readlink() for path in shown.rglob("*") if path.is_symlink()} == before
    # As a user's run.
    made = snakemake(tmp_path, *arguments, "--until", "make_labels", cold=True)
    assert made.returncode == 0, made.stderr
    # Notices of stages are repeated after the last job.
    notice = r"^notice: make_labels: (\d+) of \1 images .* lower labels\.semantic_threshold"
    assert re.search(notice, made.stderr, re.M), made.stderr
    assert not (shown / "scores.csv").exists()
    assert (shown / "make_labels/0-of-1.h5").is_file()
    result = snakemake(tmp_path)
    assert "Nothing to be done" in result.stdout + result.stderr
    assert {path: path.readlink() for path in shown.rglob("*") if path.is_symlink()} == before


def test_while_another_run_is_at_work_its_results_stay_in_sight(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    shown = tmp_path / "results/small"
    before = (shown / "run.json").read_text()
    folder = Path(json.loads(before)["configurations"][0]["stages"]["build_manifest"])
    (tmp_path / ".snakemake/locks").mkdir(exist_ok=True)
    (tmp_path / ".snakemake/locks/0.output.lock").write_text(f"{folder}/manifest.csv\n", encoding="utf-8")
    refused = snakemake(tmp_path, "--config", "labels={semantic_threshold: 1.0}")
    assert refused.returncode != 0
    assert "another snakemake" in refused.stderr
    assert (shown / "run.json").read_text() == before


def test_what_lies_in_the_place_of_a_link_is_kept_and_named(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    table = tmp_path / "results/small/doubt.csv"
    edited = table.read_text() + "edited\n"
    table.unlink()
    table.write_text(edited, encoding="utf-8")
    refused = snakemake(tmp_path)
    assert refused.returncode == 2
    assert "results/small/doubt.csv: not a link" in refused.stderr
    assert table.read_text() == edited


def test_exports_and_suggestions_are_made_when_they_are_asked_for_by_name(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    shown, names = tmp_path / "results/small", ("suggest_thresholds", *(export.name for export in EXPORTS))
    exports = ("--", *names)
    assert not {*names} & {path.name for path in shown.iterdir()}
    assert rules_to_run(tmp_path, *exports) == {*names}
    assert snakemake(tmp_path, *exports).returncode == 0
    assert pd.read_csv(shown / "suggest_thresholds/suggested.csv")["suggested"].sum() == 2
    images = json.loads((shown / "export_coco/instances.json").read_text())["images"]
    assert len(images) == 20
    for folder in ("SegmentationClass", "SegmentationObject"):
        assert {path.stem for path in (shown / "export_voc" / folder).glob("*.png")} == {
            Path(one["file_name"]).stem for one in images
        }
    assert len(list((shown / "export_yolo/labels/train").glob("*.txt"))) == 20
    assert (shown / "export_yolo/data.yaml").is_file()
    assert len(json.loads((shown / "export_label_studio/tasks.json").read_text())) == 20
    assert (shown / "export_label_studio/tasks.xml").is_file()
    assert len(list((shown / "export_labelme/annotations").glob("*.json"))) == 20
    # They stay in view, until the run has other labels.
    result = snakemake(tmp_path)
    assert "Nothing to be done" in result.stdout + result.stderr
    assert (shown / "export_voc/SegmentationClass").is_dir()
    other = ("--config", "labels={semantic_threshold: 0.9}")
    assert snakemake(tmp_path, *other, "--until", "make_labels").returncode == 0
    assert not (shown / "export_voc").exists()


def test_seeds_and_a_sweep_in_one_call(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    settings = ("seeds=[0, 1]", "sweep={labels.semantic_threshold: [0.3, 0.4]}")
    result = snakemake(tmp_path, "--config", *settings, "irn={epochs: 1}", "--until", "gather_scores")
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    log = max((tmp_path / ".snakemake/log").iterdir())  # their names are times
    made = dict(re.findall(r"^(\w+) +(\d+)$", log.read_text(), re.M))
    # What there was is seed 0 at 0.4, the run's own threshold.
    assert {name: made[name] for name in ("train_cam", "train_irn", "random_walk", "make_labels", "evaluate")} == {
        "train_cam": "1", "train_irn": "1", "random_walk": "1", "make_labels": "3", "evaluate": "3",
    }  # fmt: skip
    scores = pd.read_csv(tmp_path / "results/small/scores.csv", dtype={"seed": str})
    assert list(scores.columns) == ["seed", "stage", "split", "metric", "class", "value", "images"]
    rows = scores[(scores["stage"] == "semantic") & (scores["class"] == "mean")].set_index("seed")["value"]
    assert rows["mean"] == pytest.approx((rows["0"] + rows["1"]) / 2, abs=1e-6)
    assert rows["std"] == pytest.approx(abs(rows["0"] - rows["1"]) / 2**0.5, abs=1e-6)
    sweep = pd.read_csv(tmp_path / "results/small/sweep.csv")
    assert sweep["labels.semantic_threshold"].tolist() == [0.3, 0.4]
    assert sweep["semantic.train.mIoU"][1] == pytest.approx(rows["mean"], abs=1e-6)
    best = sweep["semantic.train.mIoU"].idxmax()
    assert "semantic.train.mIoU" in sweep["best_for"][best].split()
    for number in sweep["configuration"]:
        assert (tmp_path / f"results/small/configurations/{number}/make_labels/0-of-1.h5").is_file()


def test_the_same_seed_gives_the_same_labels_to_the_byte(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    # The data is the same by its own tests; what learns and labels is run again, in two shards.
    for stage in ("make_demo_data", "build_manifest"):
        shutil.copytree(finished / "results/store" / stage, tmp_path / "results/store" / stage)
    manifest = next((tmp_path / "results/store/build_manifest").rglob("manifest.csv"))
    manifest.write_text(manifest.read_text().replace(str(finished), str(tmp_path)))
    result = snakemake(tmp_path, "--config", "shards=2", "--until", "make_labels")
    assert result.returncode == 0, result.stdout + result.stderr
    seen = 0
    with h5py.File(finished / "results/small/make_labels/0-of-1.h5") as first:
        for index in range(2):
            with h5py.File(tmp_path / f"results/small/make_labels/{index}-of-2.h5") as second:
                for image_id in second:
                    seen += 1
                    for name in second[image_id]:
                        np.testing.assert_array_equal(first[image_id][name][()], second[image_id][name][()])
    assert seen == 20


def test_external_cams_go_in_by_the_same_door(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "results/small/make_demo_data/data", tmp_path / "data")
    shutil.copy2(finished / "results/small/make_cams/0-of-1.h5", tmp_path / "my cams.h5")
    shutil.copy2(finished / "results/small/train_cam/weights.pt", tmp_path / "backbone.pt")
    changes = {
        "dataset": {"kind": "voc", "root": "data"},
        "pretrained": "backbone.pt",
        "cam": {"external": ["my cams.h5"]},
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL | changes | {"shards": 2}))
    result = snakemake(tmp_path, "--until", "make_ir_labels")
    assert result.returncode == 0, result.stdout + result.stderr
    with (
        h5py.File(tmp_path / "my cams.h5") as given,
        h5py.File(tmp_path / "results/small/make_cams/1-of-2.h5") as taken,
    ):
        assert len(taken) == 10
        for image_id, image in taken.items():
            for name in image:
                np.testing.assert_array_equal(image[name][()], given[image_id][name][()])
    assert not (tmp_path / "results/store/train_cam").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "walk={beta: much}",
            "config: walk.beta is 'much'; expected a number of at least 0, such as walk: {beta: 10.0}",
        ),
        (
            "walk={betas: 1}",
            "config: walk.betas is not a key of the configuration; did you mean beta? Write walk: {beta: 1}",
        ),
        (
            "sweep={walk.betas: [1]}",
            "config: sweep names 'walk.betas', which cannot be swept; expected a key such as 'walk.beta'",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(finished: Path, setting: str, message: str) -> None:
    result = snakemake(finished, "--dry-run", "--config", setting)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1] == message
    assert "Traceback" not in result.stdout + result.stderr


def test_a_users_file_is_laid_over_the_papers_values_and_not_over_the_demonstrations(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text("dataset: {kind: demo}\nrun: mine\n")
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds")
    assert result.returncode == 0, result.stderr
    assert "--crop-size 512" in result.stdout
    assert "--backbone resnet50" in result.stdout
    assert "--crop-size 96" not in result.stdout


def test_trainings_alone_take_several_gpus(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds", "--config", "gpus=2", "--resources", "gpu=2")
    assert result.returncode == 0, result.stderr
    commands = dict(re.findall(r"^Shell command: irn ([a-z-]+) (.*)$", result.stdout, re.M))
    assert {name for name, options in commands.items() if "--device cuda" in options} == {
        "train-cam", "make-cams", "train-irn", "infer-fields",
    }  # fmt: skip
    assert {name for name, options in commands.items() if "--processes 2" in options} == {"train-cam", "train-irn"}


class Graph(NamedTuple):
    """What rules read and make: the rules whose files each reads, and the names of its outputs."""

    reads: dict[str, set[str]]
    makes: dict[str, set[str]]


def graph_of_rules(folder: Path, *arguments: str) -> Graph:
    result = snakemake(folder, "--filegraph", *arguments)
    assert result.returncode == 0, result.stderr
    rules, graph = {}, Graph({}, {})
    for node, rule, about in re.findall(
        r'^(\d+) \[.*?<font point-size="18">(\w+)</font>(.*?)</table>', result.stdout, re.M | re.S
    ):
        rules[node] = rule
        outputs = about.partition("output &rarr;")[2]
        graph.reads[rule] = set()
        graph.makes[rule] = set(re.findall(r">results/store/[^<]*/([^<]+)<", outputs))
    for source, target in re.findall(r"^\s*(\d+) -> (\d+)", result.stdout, re.M):
        graph.reads[rules[target]].add(rules[source])
    return graph


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Those of a small run with every stage, and corrections for it."""
    save_png(folder / "corrected/SegmentationClass/demo_0000.png", np.zeros((4, 4), np.uint8))
    every_stage = {
        "dataset": {**SMALL["dataset"], "corrected": str(folder / "corrected")},
        "refine": {"objectness": "packaged", "cell_classifier": True},
        "export": {"doubtful": 2},
    }
    text = yaml.safe_dump(SMALL | FINAL | every_stage | settings)
    (folder / "small.yaml").write_text(text, encoding="utf-8")


def test_rules_read_and_make_what_their_stages_say(tmp_path: Path) -> None:
    """The rows of stages tell the graph of the workflow to the keys, and rules tell it to Snakemake."""
    write_settings(tmp_path, {"sweep": {"walk.beta": [5, 10]}, "ablation": True})
    targets = ["--", "all", *(name for name, stage in ALL_STAGES.items() if stage.on_request)]
    # A backbone starts from one or the other, and maps are refined or not.
    downloaded, trained, plain = (
        graph_of_rules(tmp_path, "--config", *entries, *targets)
        for entries in (
            ["pretrained=imagenet"],
            ["pretrained=null"],
            ["refine={objectness: none}"],
        )
    )
    assert downloaded.reads.keys() == {*ALL_STAGES, "all"}
    for name, stage in ALL_STAGES.items():
        reads = downloaded.reads[name] | trained.reads.get(name, set()) | plain.reads.get(name, set())
        assert reads == {source.name for source in stage.reads}, name
        losses = {"metrics.jsonl"} if stage.has(METRICS) else set()
        cache = {r"{shard,\\d+-of-\\d+}.h5"}
        assert downloaded.makes[name] == (cache if stage.cache else {*stage.makes, *losses}), name


def test_rules_run_the_commands_of_their_stages(tmp_path: Path) -> None:
    write_settings(tmp_path, {"seeds": [0, 1], "ablation": True, "pretrained": "imagenet"})
    requests = [name for name, stage in ALL_STAGES.items() if stage.on_request]
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds", "--", "all", *requests)
    assert result.returncode == 0, result.stderr
    commands = re.findall(r"^Shell command: irn (\S+) .* > results/store/(\w+)/\S+\.log 2>&1$", result.stdout, re.M)
    assert {stage for _, stage in commands} == set(ALL_STAGES)
    assert all(words == ALL_STAGES[stage].words for words, stage in commands)


def test_the_environment_holds_the_pinned_versions() -> None:
    lines = [line for name in ("", "-crf") for line in (ROOT / f"requirements{name}.txt").read_text().splitlines()]
    pinned = dict(line.lower().split("==") for line in lines if "==" in line)
    environment = yaml.safe_load((ROOT / "envs/irn.yaml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    entries = [entry for entry in environment["dependencies"] if isinstance(entry, str)] + pip
    versions = dict(re.split("==?", entry, maxsplit=1) for entry in entries)
    for package, version in versions.items():
        if package not in ("python", "pip", "cxx-compiler"):
            assert pinned["torch" if package == "pytorch" else package] == version, package
    assert set(versions) >= {"pytorch", "torchvision", "h5py", "numpy", "pydensecrf2", "numba", "pydantic"}
