"""What irn status says of each stage, and what irn free-store lists and removes, on stores made of empty files."""

import os
from pathlib import Path

import pytest
from helpers import refused, run

from irn.config import read_config
from irn.stages.link_results import link_results
from irn.store import Plan

NUMBER = iter(range(10**9))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*settings: str, stages: list[str] | None = None) -> Plan:
    """Make the files of a configuration's stages, one after the other, and show them as a run does."""
    plan = Plan(read_config(entries=settings))
    plan.open()
    for stage in plan.stages if stages is None else stages:
        for name in plan.files(stage):
            Path(name).touch()
            # Later than all before it, whatever the clock's steps.
            os.utime(name, (next(NUMBER),) * 2)
        (plan.folder(stage) / "benchmark.tsv").touch()
    return plan


def states(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """What irn status says, stage by stage."""
    capsys.readouterr()
    run("status", "--brief", *arguments)
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines[1:]}


class TestStatus:
    def test_before_the_first_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert set(states(capsys).values()) == {"to do never made"}

    def test_when_all_is_done(self, capsys: pytest.CaptureFixture[str]) -> None:
        plan = make()
        said = states(capsys)
        assert [said[stage] for stage in plan.stages] == ["done"] * len(plan.stages)

    def test_settings_and_code(self, capsys: pytest.CaptureFixture[str]) -> None:
        plan = make()
        run("status")
        said = capsys.readouterr().out
        assert said.startswith("run demo: 11 of 11 stages are done\n")
        assert str(plan.folder("random_walk")) in said
        code = plan.record("random_walk")["code"]
        walk = plan.config["walk"]
        assert (
            f"code {code}, walk.beta {walk['beta']:g}, walk.steps {walk['steps']}, walk.radius {walk['radius']}, split train, shards 1"
            in said
        )

    def test_nothing_of_another_configuration_is_shown(self, folder: Path) -> None:
        shown = folder / "results/demo"

        def finished(*settings: str) -> Plan:
            plan = make(*settings)
            link_results(shown / "run.json", [f"{stage}={plan.folder(stage)}" for stage in plan.stages], Path(plan.files("evaluate")[0]))
            return plan

        finished()
        make()
        assert (shown / "scores.csv").is_file()
        make("walk={beta: 5}")
        assert not (shown / "scores.csv").is_symlink()
        finished("walk={beta: 5}")
        (folder / "data/images").mkdir(parents=True)
        make("dataset={kind: folder, root: data}", "pretrained=imagenet")
        assert {path.name for path in shown.iterdir() if path.is_symlink()} & {"scores.csv", "evaluate", "make_demo_data"} == set()
        assert (shown / "make_labels").is_dir()

    def test_a_setting(self, capsys: pytest.CaptureFixture[str]) -> None:
        make()
        said = states(capsys, "--config", "walk={beta: 5}")
        assert said["random_walk"] == "to do walk.beta 10 -> 5"
        assert said["make_labels"] == "to do waits for random_walk"
        assert said["infer_fields"] == "done"

    def test_files_of_settings(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        steps = make().config["walk"]["steps"]
        (folder / "a.yaml").write_text("walk:\n  beta: 5\n  steps: 7\n", encoding="utf-8")
        (folder / "b.yaml").write_text("walk: {steps: 8}\n", encoding="utf-8")
        said = states(capsys, "--configfile", "a.yaml", "b.yaml", "--config", "walk={radius: 6}")
        assert said["random_walk"] == f"to do walk.beta 10 -> 5, walk.steps {steps} -> 8, walk.radius 5 -> 6"

    def test_the_nearest_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        make()
        make("walk={beta: 5, steps: 100, radius: 4}")
        assert states(capsys, "--config", "walk={beta: 5}")["random_walk"] == "to do walk.beta 10 -> 5"
        assert states(capsys, "--config", "walk={beta: 5, steps: 101, radius: 4}")["random_walk"] == "to do walk.steps 100 -> 101"

    def test_code(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("irn.store.code_fingerprint", lambda stage: "0" * 12)
            make()
        said = states(capsys)
        assert said["make_demo_data"] == "to do code edited"
        assert said["make_cams"] == "to do code edited, waits for build_manifest, train_cam"

    def test_shards(self, capsys: pytest.CaptureFixture[str]) -> None:
        plan = make("shards=2")
        said = states(capsys)
        assert said["make_cams"] == "to do shards 2 -> 1"
        assert said["train_irn"] == "done"
        Path(plan.files("infer_fields")[1]).unlink()
        said = states(capsys, "--config", "shards=2")
        assert said["infer_fields"] == "1 of 2 1-of-2.h5 is missing"
        assert said["random_walk"] == said["make_labels"].replace("random_walk", "infer_fields") == "1 of 2 waits for infer_fields"
        assert said["evaluate"] == "to do waits for make_labels"

    def test_other_data(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "data/images").mkdir(parents=True)
        settings = "dataset={kind: folder, root: data}"
        make(settings)
        (folder / "data/images/new.png").touch()
        said = states(capsys, "--config", settings)
        assert said["build_manifest"] == "to do data set changed"
        assert said["make_labels"] == "to do waits for random_walk"

    def test_files_made_by_another_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        make()
        make("ir_labels={foreground_threshold: 0.4}", stages=["make_ir_labels"])
        said = states(capsys, "--config", "ir_labels={foreground_threshold: 0.4}")
        assert said["make_ir_labels"] == "done"
        assert said["train_irn"] == "to do reads another make_ir_labels"

    def test_a_newer_input(self, capsys: pytest.CaptureFixture[str]) -> None:
        plan = make()
        os.utime(plan.files("make_cams")[0])
        said = states(capsys)
        assert said["make_cams"] == "done"
        assert said["make_ir_labels"] == said["random_walk"] == "to do older than make_cams, which it reads"
        assert said["make_labels"] == "to do waits for random_walk"
        # IRNet's weights are what their key says.
        assert said["train_irn"] == said["infer_fields"] == "done"

    def test_files_that_were_removed_or_never_finished(self, capsys: pytest.CaptureFixture[str]) -> None:
        plan = make()
        Path(plan.files("make_labels")[0]).unlink()
        assert states(capsys)["make_labels"] == "to do its files were removed"
        plan = make("walk={beta: 5}", stages=[])
        (plan.folder("random_walk") / "0-of-1.log").touch()
        log = plan.folder("random_walk") / "0-of-1.log"
        assert states(capsys, "--config", "walk={beta: 5}")["random_walk"] == f"to do begun and not finished; see {log}"

    def test_a_run_that_is_not_shown_yet(self, capsys: pytest.CaptureFixture[str]) -> None:
        make()
        run("status", "--config", "run=other")
        assert "results/other/ does not show these files yet" in capsys.readouterr().out

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
            (["--config", "walk={betas: 5}"], "config: walk.betas is no key of the configuration; did you mean 'beta'?"),
            (["--config", "shards"], "--config shards: expected KEY=VALUE"),
            (["--config", "walk={beta"], "--config walk={beta: no readable YAML"),
            (["--configfile", "nowhere.yaml"], "nowhere.yaml: cannot be read (No such file or directory)"),
            (["--configfile", "list.yaml"], "list.yaml: expected keys with values"),
        ],
    )
    def test_mistakes(self, folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
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
        assert self.free(capsys) == ["free: 0 folders, 0.0 MB"]

    def test_what_an_edit_left_is_listed_and_removed(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        old, new = make("run=mine", "walk={beta: 5}"), make("run=mine")
        Path(old.files("random_walk")[0]).write_bytes(bytes(1_500_000))
        stages = sorted(["random_walk", "make_labels", "evaluate", "show"])
        lines = self.free(capsys)
        assert [line.split()[0] for line in lines[:-1]] == [str(old.folder(stage)) for stage in stages]
        assert lines[2] == f"{old.folder('random_walk')}  1.5 MB  walk.beta 10 -> 5"
        assert lines[-1] == "free: 4 folders, 1.5 MB; --delete removes them"
        assert all(old.folder(stage).is_dir() for stage in old.stages)
        assert self.free(capsys, "--delete")[-1] == "removed: 4 folders, 1.5 MB"
        assert not any(old.folder(stage).exists() for stage in stages)
        assert all(Path(name).exists() for stage in new.stages for name in new.files(stage))
        assert self.free(capsys) == ["free: 0 folders, 0.0 MB"]

    def test_what_other_runs_and_given_configurations_refer_to_is_kept(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make("run=one", "walk={beta: 1}")
        make("run=two", "walk={beta: 2}")
        make("run=two", "walk={beta: 3}")
        (folder / "two.yaml").write_text("walk: {beta: 2}", encoding="utf-8")
        (folder / "four.yaml").write_text("walk: {beta: 4}", encoding="utf-8")
        assert len(self.free(capsys)) == 4 + 1
        assert len(self.free(capsys, "--configfile", "four.yaml", "two.yaml")) == 1

    def test_what_a_complete_run_lists_is_kept(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        plan = make("run=one", "walk={beta: 1}")
        run("link-results", "--folders", *(f"{stage}={plan.folder(stage)}" for stage in plan.stages), "--out", "results/one/run.json")
        # A later configuration of the same run was begun, and has taken its links over.
        make("run=one", "walk={beta: 2}", stages=[])
        assert self.free(capsys) == ["free: 0 folders, 0.0 MB"]

    def test_a_folder_that_was_never_finished(self, capsys: pytest.CaptureFixture[str]) -> None:
        plan = make("run=one", "walk={beta: 1}", stages=[])
        make("run=one")
        assert f"{plan.folder('random_walk')}  0.0 MB  nothing whole in it" in self.free(capsys)

    def test_a_locked_folder_is_left_alone(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make("run=mine", "walk={beta: 5}")
        make("run=mine")
        (folder / ".snakemake/locks").mkdir(parents=True)
        (folder / ".snakemake/locks/0.input.lock").touch()
        assert len(self.free(capsys)) == 4 + 1
        said = refused(capsys, folder, "free-store", "--delete")
        assert said.startswith("irn free-store: .snakemake/locks: a run is at work here, or one was killed; wait for it")
