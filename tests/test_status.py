"""What irn status says of each stage, and what irn free-store lists and removes, on stores made of empty files."""

import re
from pathlib import Path

import pytest
from helpers import refused, run

from irn.io.tensors import save_file
from irn.settings.reading import read_config
from irn.workflow.run import Run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which a configuration of labels alone holds where none is given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.yaml").write_text("run: demo\ndataset: {kind: demo}\n", encoding="utf-8")
    monkeypatch.setattr("irn.settings.reading.DEMONSTRATION", tmp_path / "demo.yaml")
    return tmp_path


def make(*settings: str, stages: list[str] | None = None) -> Run:
    """Make the files of a run's stages, and show them as a run does."""
    made = Run(read_config(entries=settings))
    made.show()
    for recipe in made.shown:
        if stages is None or recipe.stage.name in stages:
            for name in recipe.files():
                Path(name).parent.mkdir(exist_ok=True)
                Path(name).touch()
            (recipe.folder / "benchmark.tsv").touch()
    return made


def states(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """What irn status says, stage by stage."""
    capsys.readouterr()
    run("status", *arguments)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    # A line that is too long goes on six columns to the right.
    whole = re.sub(r"\n {6}(?=\S)", " ", "\n".join(lines[1:])).splitlines()
    return {line.split()[0]: " ".join(line.split()[1:]) for line in whole if not line.startswith(" ")}


@pytest.mark.parametrize("settings", [(), ("shards=2",), ("sweep={walk.beta: [10, 5]}", "seeds=[0, 1]")])
def test_every_file_is_seen_where_the_display_says(settings: tuple[str, ...]) -> None:
    of_run = make(*settings)
    for file in of_run.files():
        assert (of_run.folder / of_run.seen_as(Path(file))).is_file()


def test_a_notice_is_told_once_and_not_by_an_earlier_number_of_shards() -> None:
    of_run = make("shards=2")
    folder = of_run.configurations[0]["make_labels"].folder / "train"
    for name, text in (("0-of-1", "stale"), ("0-of-2", "all is background"), ("1-of-2", "all is background")):
        (folder / f"{name}.log").write_text(f"notice: {text}\n", encoding="utf-8")
    assert [line for _, line in of_run.notices()] == ["notice: all is background"]


class TestStatus:
    def test_before_the_first_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert set(states(capsys).values()) == {"to do never made"}

    def test_when_all_is_done(self, capsys: pytest.CaptureFixture[str]) -> None:
        make()
        assert set(states(capsys).values()) == {"done"}

    def test_settings_and_code(self, capsys: pytest.CaptureFixture[str]) -> None:
        recipe = make().configurations[0]["random_walk"]
        run("status")
        said = capsys.readouterr().out
        assert said.startswith("run demo: 14 of 14 stages are done\n")
        assert str(recipe.folder) in said
        walk = recipe.settings.walk
        settings = f"dataset.max_side null, walk.beta {walk.beta}, walk.steps {walk.steps}, walk.radius {walk.radius}"
        more = f"walk.centroid_length {walk.centroid_length}, splits train, shards 1"
        assert f"code {recipe.record['code']}, {settings}, {more}" in " ".join(said.split())

    def test_a_setting(self, capsys: pytest.CaptureFixture[str]) -> None:
        make()
        said = states(capsys, "--config", "walk={beta: 5}")
        assert said["random_walk"] == "to do walk.beta 10.0 -> 5.0"
        assert said["make_labels"] == "to do reads another random_walk"
        assert said["infer_fields"] == "done"

    def test_files_of_settings(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "demo.yaml").write_text("dataset: {kind: demo}\n", encoding="utf-8")
        (folder / "a.yaml").write_text("walk:\n  beta: 5\n  steps: 7\n", encoding="utf-8")
        (folder / "b.yaml").write_text("walk: {steps: 8}\n", encoding="utf-8")
        said = states(capsys, "--configfile", "demo.yaml")
        made = Run(read_config([Path("demo.yaml")]))
        for recipe in made.shown:
            recipe.folder.mkdir(parents=True)
            (recipe.folder / "benchmark.tsv").touch()
        made.show()
        said = states(capsys, "--configfile", "demo.yaml", "a.yaml", "b.yaml", "--config", "walk={radius: 6}")
        assert said["random_walk"] == "to do walk.beta 10.0 -> 5.0, walk.steps 256 -> 8, walk.radius 5 -> 6"

    def test_what_is_made_by_name_is_listed_once_it_was_asked_for(self, capsys: pytest.CaptureFixture[str]) -> None:
        made = make()
        assert "export_coco" not in states(capsys)
        recipe = made.configurations[0]["export_coco"]
        recipe.folder.mkdir(parents=True)
        Path(recipe.files()[0]).touch()
        assert states(capsys)["export_coco"] == "done"

    def test_the_nearest_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        make()
        make("walk={beta: 5, steps: 100, radius: 4}")
        assert states(capsys, "--config", "walk={beta: 5}")["random_walk"] == "to do walk.beta 10.0 -> 5.0"
        assert (
            states(capsys, "--config", "walk={beta: 5, steps: 101, radius: 4}")["random_walk"]
            == "to do walk.steps 100 -> 101"
        )

    def test_code(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("irn.workflow.recipes.code_fingerprint", lambda *modules: "0" * 12)
            make()
        said = states(capsys)
        assert said["make_demo_data"] == "to do code edited"
        assert said["make_cams"] == "to do code edited, reads another build_manifest, reads another train_cam"

    def test_of_many_stages_that_are_read_a_few_are_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        make()
        said = states(capsys, "--config", "seed=1", "sweep={walk.beta: [5, 8]}")["report"]
        assert said.count("reads another") == 4
        assert re.search(r", and \d+ more$", said)

    def test_shards_and_splits(self, capsys: pytest.CaptureFixture[str]) -> None:
        made = make("shards=2")
        said = states(capsys)
        assert said["make_cams"] == "to do its files were removed, or only files of other splits or shards exist"
        assert said["train_irn"] == "done"
        Path(made.configurations[0]["infer_fields"].files()[1]).unlink()
        said = states(capsys, "--config", "shards=2")
        assert said["infer_fields"] == "1 of 2"
        # A file whose name is right is right.
        assert said["random_walk"] == said["evaluate"] == "done"
        assert states(capsys, "--config", "shards=2", "dataset={eval_split: val}")["make_cams"] == "2 of 4"

    def test_other_data(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "data/images").mkdir(parents=True)
        settings = "dataset={kind: folder, root: data}"
        make(settings)
        (folder / "data/images/new.png").touch()
        said = states(capsys, "--config", settings)
        assert said["build_manifest"] == "to do data set changed"
        assert said["make_labels"] == "to do reads another build_manifest, reads another random_walk"

    def test_files_that_were_removed_or_never_finished(self, capsys: pytest.CaptureFixture[str]) -> None:
        made = make()
        Path(made.configurations[0]["make_labels"].files()[0]).unlink()
        assert (
            states(capsys)["make_labels"]
            == "to do its files were removed, or only files of other splits or shards exist"
        )
        folder = make("walk={beta: 5}", stages=[]).configurations[0]["random_walk"].folder
        (folder / "train").mkdir()
        (folder / "train/0-of-1.log").touch()
        said = states(capsys, "--config", "walk={beta: 5}")
        assert said["random_walk"] == f"to do begun and not finished; see {folder}/train/0-of-1.log"

    def test_predictions_that_grow_are_not_done(self, capsys: pytest.CaptureFixture[str]) -> None:
        network = "mask_rcnn={labels: pseudo}"
        made = Run(read_config(entries=[network, "dataset={eval_split: train+val}"]))
        folder = Path(made.configurations[0]["predict_mask_rcnn"].files()[0])
        folder.mkdir(parents=True)
        (folder / "images.jsonl").touch()
        entries = ("--config", network, "dataset={eval_split: train+val}")
        assert states(capsys, *entries)["predict_mask_rcnn"] != "done"
        (folder / "images.json").touch()
        assert states(capsys, *entries)["predict_mask_rcnn"] == "done"

    def test_a_sweep(self, capsys: pytest.CaptureFixture[str]) -> None:
        make()
        run("status", "--config", "sweep={walk.beta: [10, 5, 4]}")
        said = capsys.readouterr().out
        # The run's own 10 is there; two walks with labels and scores, the table and a report of them are not.
        assert said.startswith("run demo: 13 of 21 stages are done\n")
        assert said.count("walk.beta 10.0 -> 5.0") == said.count("walk.beta 10.0 -> 4.0") == 1

    def test_a_lock(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run("status")
        assert "--unlock" not in capsys.readouterr().out
        (folder / ".snakemake/locks").mkdir(parents=True)
        (folder / ".snakemake/locks/0.input.lock").touch()
        run("status")
        assert "add --unlock to your snakemake command" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ["--config", "walk={betas: 5}"],
                "config: walk.betas is not a key of the configuration; did you mean beta? Write",
            ),
            (["--config", "shards"], "--config shards: expected KEY=VALUE"),
            (["--config", "walk={beta"], "--config walk={beta: not readable as YAML"),
            (["--configfile", "nowhere.yaml"], "nowhere.yaml: cannot be read (No such file or directory)"),
            (["--configfile", "list.yaml"], "list.yaml: expected keys with values"),
        ],
    )
    def test_mistakes(
        self, folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        (folder / "list.yaml").write_text("- 1\n", encoding="utf-8")
        assert refused(capsys, folder, "status", *arguments).startswith(f"irn status: {message}")


class TestFreeStore:
    def free(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
        """The lines that irn free-store prints."""
        capsys.readouterr()
        run("free-store", *arguments)
        return capsys.readouterr().out.splitlines()

    def test_nothing_is_free_after_a_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.free(capsys) == ["free: 0 folders, 0.0 MB"]
        make()
        make("run=two", "seeds=[3, 4]", "sweep={walk.beta: [1, 2]}")
        assert self.free(capsys) == ["free: 0 folders, 0.0 MB"]

    def test_what_an_edit_left_is_listed_and_removed(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        first, second = make("run=mine", "walk={beta: 5}"), make("run=mine")
        old = {recipe.stage.name: recipe for recipe in first.shown}
        Path(old["random_walk"].files()[0]).write_bytes(bytes(1_500_000))
        stages = sorted(["random_walk", "make_labels", "find_doubt", "evaluate", "show", "report"])
        lines = self.free(capsys)
        assert [line.split()[0] for line in lines[:-1]] == [str(old[stage].folder) for stage in stages]
        assert lines[3] == f"{old['random_walk'].folder}  1.5 MB  walk.beta 10.0 -> 5.0"
        assert lines[-1] == "free: 6 folders, 1.5 MB; --delete removes them"
        assert all(recipe.folder.is_dir() for recipe in old.values())
        assert self.free(capsys, "--delete")[-1] == "removed: 6 folders, 1.5 MB"
        assert not any(old[stage].folder.exists() for stage in stages)
        assert all(Path(name).exists() for recipe in second.shown for name in recipe.files())
        assert self.free(capsys) == ["free: 0 folders, 0.0 MB"]

    def test_what_other_runs_and_given_configurations_refer_to_is_kept(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for beta in (2, 4):
            (folder / f"{beta}.yaml").write_text(f"dataset: {{kind: demo}}\nwalk: {{beta: {beta}}}", encoding="utf-8")
        make("run=one", "walk={beta: 1}")
        make("run=two", "walk={beta: 3}")
        made = Run(read_config([Path("2.yaml")]))
        for recipe in made.shown:
            recipe.folder.mkdir(parents=True, exist_ok=True)
        assert len(self.free(capsys)) > 1
        assert len(self.free(capsys, "--configfile", "4.yaml", "2.yaml")) == 1

    def test_what_settings_name_is_kept(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        start = Path(make("run=first", "seed=7").configurations[0]["train_cam"].files()[0])
        make("run=first", "seed=5")
        assert str(start.parent) in "".join(self.free(capsys))
        save_file(start, {})
        weights = folder / "results/start.pt"
        weights.symlink_to(start.absolute())
        (folder / "other.yaml").write_text(f"dataset: {{kind: demo}}\nirn: {{start: {weights}}}\n", encoding="utf-8")
        assert str(start.parent) not in "".join(self.free(capsys, "--configfile", "other.yaml"))

    def test_a_folder_that_was_never_finished(self, capsys: pytest.CaptureFixture[str]) -> None:
        folder = make("run=one", "walk={beta: 1}", stages=[]).configurations[0]["random_walk"].folder
        make("run=one")
        assert f"{folder}  0.0 MB  without complete results" in self.free(capsys)

    def test_a_locked_folder_is_left_alone(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make("run=mine", "walk={beta: 5}")
        make("run=mine")
        (folder / ".snakemake/locks").mkdir(parents=True)
        (folder / ".snakemake/locks/0.input.lock").touch()
        assert len(self.free(capsys)) == 6 + 1
        said = refused(capsys, folder, "free-store", "--delete")
        assert said.startswith(
            "irn free-store: .snakemake/locks: a run is at work here, or one was killed; wait for it"
        )
