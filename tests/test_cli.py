"""The command line: help that is quick, defaults that are the paper's, and one line for every mistake."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import termios
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from golden_cases import GOLDEN
from helpers import read_all, refused, run, save_png

from irn.cli import build_parser
from irn.io.cache import CacheReader, CacheWriter
from irn.networks.classifier import Classifier
from irn.records import Shard
from irn.settings.checking import settings_of_options
from irn.settings.lookup import all_settings, of_stage
from irn.settings.settings import value
from irn.weights.files import save_weights
from irn.workflow.command import Stage
from irn.workflow.commands_without_rule import COMMANDS as ROWS
from irn.workflow.stages import STAGES

COMMANDS = [command.words for command in ROWS.values()]
CONTRACT = [
    *(
        "make-demo-data",
        "build-manifest",
        "train-cam",
        "make-cams",
        "make-ir-labels",
        "train-irn",
        "infer-fields",
        "random-walk",
    ),
    *("make-labels", "evaluate", "import-weights", "show", "config"),
    *(
        "export-coco",
        "export-voc",
        "export-yolo",
        "export-label-studio",
        "export-labelme",
        "import-cams",
        "export-cams",
    ),
]
SCENE = "single_instance"
CAMS, FIELDS, MANIFEST = GOLDEN / "cams.h5", GOLDEN / "fields.h5", GOLDEN / "manifest.csv"
# What each command cannot do without.
REQUIRED = {
    command.words: [
        word
        for option in command.takes
        if option.keywords.get("required")
        for word in (option.flag, option.keywords.get("choices", [None, option.flag.strip("-")])[1])
    ]
    for command in ROWS.values()
}


def options_of(command: str, *more: str) -> dict[str, Any]:
    return vars(build_parser().parse_args([command, *REQUIRED[command], *more]))


def settings_of(command: str, *more: str) -> dict[str, Any]:
    """The settings that a command gets, by key."""
    options, rows = options_of(command, *more), of_stage(command.replace("-", "_"))
    settings = settings_of_options({row.key: options[row.key] for row in rows if row.key in options}, {}, "")
    return {row.key: value(settings, row.key) for row in rows}


def run_python(*arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder, check=False)


class TestHelp:
    def test_help_needs_none_of_the_heavy_packages(self) -> None:
        code = "import sys; from irn.cli import build_parser; build_parser().format_help(); print(*sys.modules)"
        done = run_python("-c", code)
        assert done.returncode == 0
        assert set(done.stdout.split()).isdisjoint(
            {"torch", "numpy", "pandas", "h5py", "scipy", "numba", "PIL", "yaml"}
        )

    @pytest.mark.parametrize("stage", ["random_walk", "make_labels", "evaluate", "show", "make_ir_labels"])
    def test_a_stage_without_networks_starts_without_heavy_packages(self, stage: str) -> None:
        done = run_python("-c", f"import sys; import irn.cli, irn.commands.{stage}; print(*sys.modules)")
        assert done.returncode == 0
        assert set(done.stdout.split()).isdisjoint({"torch", "pandas", "altair"})

    @pytest.mark.parametrize("command", [None, *COMMANDS])
    def test_every_command_has_help(self, command: str | None, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args([*([command] if command else []), "--help"])
        assert stop.value.code == 0
        assert capsys.readouterr().out.startswith("usage: irn")

    @pytest.mark.parametrize("stage", [*(stage.name for stage in STAGES if stage.command == stage.name), "predict"])
    def test_the_help_says_what_a_setting_means_and_what_it_is_by_default(
        self, stage: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            build_parser().parse_args([stage.replace("_", "-"), "--help"])
        said = " ".join(capsys.readouterr().out.split())
        for row in of_stage(stage):
            if row.flag and not isinstance(row.default, tuple | None):
                assert row.flag in said
                assert f"(default: {row.default})" in said

    def test_all_commands_stand_in_groups_in_the_order_of_the_workflow(self) -> None:
        said = run_python("-m", "irn", "--help").stdout
        listed = re.findall(r"^  ([a-z][a-z-]+) {1,}[A-Z]", said, re.M)
        assert sorted(listed) == sorted(COMMANDS)
        assert listed[0] == "make-demo-data"
        place = {words: number for number, words in enumerate(listed)}
        for stage in STAGES:
            for before in stage.reads:
                # Final networks come after everything that leads to labels.
                assert place[before.words] < place[stage.words], (before.name, stage.name)

    def test_every_command_of_the_contract_is_there(self) -> None:
        assert set(CONTRACT) <= set(COMMANDS)

    def test_from_a_shell(self) -> None:
        done = run_python("-m", "irn", "--version")
        assert done.returncode == 0
        assert done.stdout.startswith("irn ")
        assert run_python("-m", "irn", "random-walk", "--help").returncode == 0


class TestCompletion:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["random"], {"random-walk"}),
            (["make-"], {"make-demo-data", "make-cams", "make-ir-labels", "make-labels"}),
            (["random-walk", "--be"], {"--beta"}),
            (["make-cams", "--device", "cu"], {"cuda"}),
            (["random-walk", "--cams", "cams_of"], {"cams_of_a_run.h5"}),
        ],
    )
    def test_bash_completes_commands_options_choices_and_files(
        self, words: list[str], expected: set[str], tmp_path: Path
    ) -> None:
        (tmp_path / "irn.sh").write_text(run_python("-m", "irn", "--print-completion", "bash").stdout)
        (tmp_path / "cams_of_a_run.h5").touch()
        typed = " ".join(["irn", *words])
        script = f"source ./irn.sh; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
        script += f"COMP_LINE='{typed}'; COMP_POINT={len(typed)}; "
        script += "_shtab_irn irn; printf '%s\\n' \"${COMPREPLY[@]}\""
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
        assert set(done.stdout.split()) == expected


DRAWING = ("-m", "irn", "make-demo-data", "--images", "4", "--size", "64", "--workers", "0", "--out")


def said_on_a_terminal(folder: Path, **environment: str) -> str:
    """What a command that takes a while says to a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    surroundings = {**clean, "TERM": "xterm-256color", **environment}
    process = subprocess.Popen(
        [sys.executable, *DRAWING, str(folder / "data")], stdout=theirs, stderr=theirs, env=surroundings
    )
    os.close(theirs)
    said = b""
    # A terminal whose other end is closed cannot be read.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 4096):
            said += part
    os.close(ours)
    assert process.wait() == 0, said.decode()
    return said.decode()


class TestTerminal:
    def test_a_bar_is_drawn_on_a_terminal_alone(self, tmp_path: Path) -> None:
        assert "4 of 4 images" in said_on_a_terminal(tmp_path)
        done = run_python(*DRAWING, str(tmp_path / "other"))
        assert done.returncode == 0
        assert done.stdout + done.stderr == ""

    @pytest.mark.parametrize(("command", "code"), [("status", 141), ("--help", 0)])
    def test_a_reader_that_stops_early_ends_a_command_quietly(self, command: str, code: int) -> None:
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-m", "irn", command], stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdout is not None
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == ""
        assert process.returncode == code

    def test_no_color_is_obeyed(self, tmp_path: Path) -> None:
        assert "\x1b[" not in said_on_a_terminal(tmp_path, NO_COLOR="1")


class TestOptions:
    @pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
    def test_what_is_not_given_has_the_default_of_its_setting(self, stage: Stage) -> None:
        settings = settings_of(stage.words)
        assert settings == {key: all_settings()[key].default for key in settings}
        assert options_of(stage.words).get("device", "auto") == "auto"

    @pytest.mark.parametrize("command", [stage.words for stage in STAGES if stage.per_image])
    def test_shards(self, command: str) -> None:
        assert options_of(command)["shard"] == Shard(0, 1)
        assert options_of(command, "--shard", "3/4")["shard"] == Shard(3, 4)
        assert options_of(command, "--split", "val")["split"] == "val"

    def test_what_is_given(self) -> None:
        assert settings_of("random-walk", "--beta", "5", "--steps", "7")["walk.beta"] == 5
        assert settings_of("make-cams", "--scales", "1", "0.5")["cam.scales"] == (1, 0.5)
        assert settings_of("train-cam", "--long-side", "32", "64")["cam.long_side"] == (32, 64)


class TestBadOptions:
    @pytest.mark.parametrize(
        ("command", "options"),
        [
            ("make-labels", ["--semantic-threshold", "1.5"]),
            ("make-labels", ["--instance-threshold", "-0.1"]),
            ("make-ir-labels", ["--foreground-threshold", "nan"]),
            ("make-ir-labels", ["--background-threshold", "a"]),
            ("evaluate", ["--cam-threshold", "1.01"]),
            ("random-walk", ["--shard", "4/4"]),
            ("random-walk", ["--shard", "x"]),
            ("random-walk", ["--shard", "1"]),
            ("random-walk", ["--shard", "-1/4"]),
            ("random-walk", ["--shard", "0/0"]),
            ("random-walk", ["--shard", "\u00b2/4"]),
            ("random-walk", ["--beta", "-1"]),
            ("random-walk", ["--beta", "inf"]),
            ("random-walk", ["--steps", "-1"]),
            ("random-walk", ["--steps", "2.5"]),
            ("random-walk", ["--steps", "\u00b2"]),
            ("random-walk", ["--radius", "1"]),
            ("make-cams", ["--device", "tpu"]),
            ("make-cams", ["--scales", "0"]),
            ("make-cams", ["--scales", "1", "-1"]),
            ("make-cams", ["--scales"]),
            ("make-cams", ["--precision", "float16"]),
            ("train-cam", ["--epochs", "0"]),
            ("train-cam", ["--batch-size", "two"]),
            ("train-cam", ["--crop-size", "500"]),
            ("train-cam", ["--crop-size", "0"]),
            ("train-cam", ["--learning-rate", "0"]),
            ("train-cam", ["--momentum", "1.5"]),
            ("train-cam", ["--seed", "-1"]),
            ("train-cam", ["--backbone", "vgg/16"]),
            ("train-cam", ["--long-side", "320"]),
            ("train-irn", ["--scale", "0.5", "0"]),
            ("train-irn", ["--workers", "-1"]),
        ],
    )
    def test_values(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, options: list[str]) -> None:
        said = refused(capsys, tmp_path, command, *REQUIRED[command], *options)
        assert said.startswith(f"irn {command}: ")
        assert options[0] in said
        assert f"irn {command} --help" in said

    @pytest.mark.parametrize("command", COMMANDS)
    @pytest.mark.parametrize("unknown", ["--no-such-option", "surplus", "--ou", "two\nlines"])
    def test_unknown_options(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, unknown: str
    ) -> None:
        assert unknown.split()[0] in refused(capsys, tmp_path, command, unknown, *REQUIRED[command])

    @pytest.mark.parametrize("command", [command for command in COMMANDS if REQUIRED[command]])
    def test_missing_options(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
        said = refused(capsys, tmp_path, command)
        assert all(option in said for option in REQUIRED[command] if option.startswith("--"))

    def test_commands(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "make-cams" in refused(capsys, tmp_path, "make-cam")
        assert "COMMAND" in refused(capsys, tmp_path)

    def test_scales_of_a_range_the_wrong_way_round(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], cam_inputs: list[object]
    ) -> None:
        manifest, labels = cam_inputs[1], cam_inputs[3]
        out = ["--out", tmp_path / "w.pt", "--from-scratch", "--backbone", "test_resnet", "--batch-size", 1]
        said = refused(
            capsys, tmp_path, "train-cam", "--manifest", manifest, "--labels", labels, *out, "--long-side", 640, 320
        )
        assert "--long-side" in said
        caches = ["--ir-labels", GOLDEN / "ir_labels.h5", "--out", tmp_path / "w.pt"]
        assert "--scale" in refused(capsys, tmp_path, "train-irn", "--manifest", MANIFEST, *caches, "--scale", 1.5, 0.5)


class TestFilesToWrite:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["make-labels", "--walks", "a", "b", "--out", "b"],
            ["make-ir-labels", "--manifest", "m", "--cams", "a", "--out", "../{folder}/a"],
            ["evaluate", "--manifest", "m", "--labels", "l", "--class-masks", "d", "--out", "l"],
            [
                "evaluate",
                "--manifest",
                "m",
                "--labels",
                "l",
                "--class-masks",
                "d",
                "--out",
                "o",
                "--thresholds-out",
                "o",
            ],
            ["train-cam", "--manifest", "m", "--labels", "l", "--out", "o", "--metrics", "o"],
            ["import-weights", "--cam", "c", "--irn", "i", "--out-cam", "o", "--out-irn", "o"],
        ],
    )
    def test_one_that_is_read_or_named_twice(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
    ) -> None:
        said = refused(capsys, tmp_path, *[argument.format(folder=tmp_path.name) for argument in arguments])
        assert "is the same file" in said
        assert "name another" in said

    @pytest.mark.parametrize(
        "command",
        [
            command
            for command in COMMANDS
            if command
            not in ("make-demo-data", "show", "export-voc", "export-yolo", "export-labelme", "export-cams", "predict")
        ],
    )
    def test_a_folder_or_a_place_below_a_file(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
    ) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").touch()
        for index, option in enumerate(REQUIRED[command]):
            if option.startswith("--out"):
                for name, reason in (("folder", "is a folder"), ("file/o", "cannot be written")):
                    said = refused(
                        capsys,
                        tmp_path,
                        command,
                        *REQUIRED[command][: index + 1],
                        name,
                        *REQUIRED[command][index + 2 :],
                    )
                    assert f"argument {option}: '{name}' {reason}" in said

    def test_names_that_the_system_refuses(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "cannot be written (File name too long)" in refused(
            capsys, tmp_path, "make-labels", "--walks", "w", "--out", 300 * "o"
        )
        (tmp_path / "loop").symlink_to("loop")
        assert "loop: no such cache file" in refused(capsys, tmp_path, "make-labels", "--walks", "loop", "--out", "o")


def test_too_little_memory_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(import_module("irn.commands.import_weights"), "import_weights", fail)
    monkeypatch.chdir(tmp_path)
    said = refused(capsys, tmp_path, "import-weights", *REQUIRED["import-weights"])
    assert said == "irn import-weights: not enough memory; give the command more memory"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("much"),
        RuntimeError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: much"),
    ],
)
def test_too_little_memory_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(import_module("irn.commands.make_cams"), "make_cams", fail)
    said = refused(capsys, tmp_path, "make-cams", *REQUIRED["make-cams"])
    assert said.startswith("irn make-cams: not enough memory (")
    assert "lower --max-side (dataset.max_side) or --scales (cam.scales) or --workers" in said


def test_random_weights_and_given_ones_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(
        capsys, tmp_path, "train-cam", *REQUIRED["train-cam"], "--from-scratch", "--backbone-weights", "w.pt"
    )
    assert "--from-scratch" in said
    assert "--backbone-weights w.pt" in said


@pytest.fixture(scope="module")
def cam_inputs(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Options of make-cams that are all in order: two images of 20 x 24, two classes."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    for image_id in ("a", "b"):
        save_png(folder / f"{image_id}.png", rng.integers(0, 256, (20, 24, 3)).astype(np.uint8))
    rows = "".join(f"{image_id},{image_id}.png,20,24,train\n" for image_id in ("a", "b"))
    (folder / "manifest.csv").write_text(f"image_id,path,height,width,split\n{rows}", encoding="utf-8")
    (folder / "labels.csv").write_text("image_id,cat,dog\na,1,0\nb,0,0\n", encoding="utf-8")
    torch.manual_seed(0)
    save_weights(folder / "cam.pt", "cam", Classifier("test_resnet", 2), {"stage": "test"}, ["cat", "dog"], 32)
    return [
        "--manifest",
        folder / "manifest.csv",
        "--labels",
        folder / "labels.csv",
        "--weights",
        folder / "cam.pt",
        "--device",
        "cpu",
    ]


class TestMistakes:
    """Each command with one thing wrong in what it is given."""

    @pytest.mark.parametrize(
        "command",
        [
            ["train-cam", "--manifest", "gone.csv", "--labels", "gone.csv"],
            ["make-cams", "--manifest", MANIFEST, "--labels", "gone.csv", "--weights", "gone.pt"],
            ["make-ir-labels", "--manifest", MANIFEST, "--cams", "gone.h5"],
            ["make-ir-labels", "--manifest", "gone.csv", "--cams", CAMS],
            ["train-irn", "--manifest", MANIFEST, "--ir-labels", "gone.h5"],
            [
                "train-irn",
                "--manifest",
                MANIFEST,
                "--ir-labels",
                GOLDEN / "ir_labels.h5",
                "--backbone-weights",
                "gone.pt",
            ],
            ["infer-fields", "--manifest", MANIFEST, "--weights", "gone.pt"],
            ["random-walk", "--cams", CAMS, "--fields", "gone.h5"],
            ["random-walk", "--cams", CAMS, "gone.h5", "--fields", FIELDS],
            ["make-labels", "--walks", "gone.h5"],
            ["evaluate", "--manifest", "gone.csv", "--labels", "gone.csv", "--class-masks", "gone", "--cams", CAMS],
            ["show", "--manifest", "gone.csv"],
            ["gather-scores", "--configurations", "gone.json"],
            ["build-manifest", "--kind", "voc", "--root", "gone", "--out-labels", "labels.csv"],
            ["import-weights", "--cam", "gone.pth", "--irn", "gone.pth", "--out-irn", "irn.pt"],
        ],
        ids=lambda command: command[0],
    )
    def test_a_missing_file(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[object]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        out = {"build-manifest": "--out-manifest", "import-weights": "--out-cam"}.get(str(command[0]), "--out")
        said = refused(capsys, tmp_path, *command, out, "folder/out")
        assert said.startswith(f"irn {command[0]}: ")
        assert "gone" in said

    def test_from_a_shell(self, tmp_path: Path) -> None:
        done = run_python("-m", "irn", "make-labels", "--walks", "gone.h5", "--out", "labels.h5", folder=tmp_path)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr == "irn make-labels: gone.h5: no such cache file; run the stage that makes it\n"
        assert list(tmp_path.iterdir()) == []

    def test_a_cache_of_another_kind(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = refused(
            capsys,
            tmp_path,
            "random-walk",
            "--cams",
            FIELDS,
            "--fields",
            FIELDS,
            "--out",
            tmp_path / "w.h5",
            "--workers",
            0,
        )
        assert str(FIELDS) in said

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_damaged_cache(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int) -> None:
        folder = tmp_path / "in"
        folder.mkdir()
        reader = CacheReader([CAMS], "cam")
        with CacheWriter(folder / "cams.h5", "cam", {"stage": "test"}) as cache:
            cache.write(SCENE, *reader.size(SCENE), reader.read(SCENE))
        with h5py.File(folder / "cams.h5", "r") as file:
            place = file[SCENE]["cam"].id.get_chunk_info(0).byte_offset
        content = bytearray((folder / "cams.h5").read_bytes())
        content[place + 10] ^= 255
        (folder / "damaged.h5").write_bytes(content)
        command = ["random-walk", "--cams", folder / "damaged.h5", "--fields", FIELDS, "--out", tmp_path / "w.h5"]
        said = refused(capsys, tmp_path, *command, "--workers", workers)
        assert f"{folder / 'damaged.h5'}: the cache is damaged" in said
        assert SCENE in said

    def test_an_image_in_two_caches_and_in_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command = ["make-ir-labels", "--manifest", MANIFEST, "--out", tmp_path / "i.h5", "--cams"]
        assert "noisy_fields" in refused(capsys, tmp_path, *command, CAMS, CAMS)
        reader = CacheReader([CAMS], "cam")
        (tmp_path / "in").mkdir()
        with CacheWriter(tmp_path / "in" / "cams.h5", "cam", {"stage": "test"}) as cache:
            cache.write(SCENE, *reader.size(SCENE), reader.read(SCENE))
        assert "noisy_fields" in refused(capsys, tmp_path, *command, tmp_path / "in" / "cams.h5")

    def test_caches_made_from_images_of_another_size(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        reader, folder = CacheReader([CAMS], "cam"), tmp_path / "in"
        folder.mkdir()
        height, width = reader.size(SCENE)
        turned = {
            name: np.swapaxes(array, -1, -2) if array.ndim == 3 else array for name, array in reader.read(SCENE).items()
        }
        with CacheWriter(folder / "cams.h5", "cam", {"stage": "test"}) as cache:
            cache.write(SCENE, width, height, turned)
        rows = MANIFEST.read_text(encoding="utf-8").replace("images/", f"{GOLDEN}/images/").splitlines(keepends=True)
        (folder / "manifest.csv").write_text(
            rows[0] + "".join(row for row in rows if row.startswith(SCENE)), encoding="utf-8"
        )
        out = ["--out", tmp_path / "o.h5", "--workers", 0]
        for command in (
            ["make-ir-labels", "--manifest", folder / "manifest.csv", "--cams", folder / "cams.h5"],
            ["random-walk", "--cams", folder / "cams.h5", "--fields", FIELDS],
        ):
            said = refused(capsys, tmp_path, *command, *out)
            assert SCENE in said
            assert f"{height} x {width}" in said
            assert f"{width} x {height}" in said

    def test_a_split_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command = ["make-ir-labels", "--manifest", MANIFEST, "--cams", CAMS, "--out", tmp_path / "i.h5"]
        assert "'val'" in refused(capsys, tmp_path, *command, "--split", "val")

    @pytest.mark.parametrize(
        ("table", "said"),
        [
            ("image_id,cat\na,1\nb,0\n", "classes cat,dog"),
            ("image_id,dog,cat\na,1,0\nb,0,0\n", "dog,cat"),
            ("image_id,cat,dog\na,1,0\n", "'b'"),
            ("image_id,cat,dog\na,1,2\nb,0,0\n", "'2'"),
        ],
    )
    def test_labels_that_do_not_fit(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], cam_inputs: list[object], table: str, said: str
    ) -> None:
        (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
        options = [*cam_inputs, "--labels", tmp_path / "labels.csv"]
        found = refused(capsys, tmp_path, "make-cams", *options, "--out", tmp_path / "c.h5")
        assert said in found
        assert str(tmp_path / "labels.csv") in found

    def test_weights_of_the_wrong_kind(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], cam_inputs: list[object]
    ) -> None:
        command = ["infer-fields", "--manifest", cam_inputs[1], "--weights", cam_inputs[5], "--out", tmp_path / "f.h5"]
        assert "expected 'irn'" in refused(capsys, tmp_path, *command)

    @pytest.mark.parametrize("mode", ["gone", "text", "cut", "chunk", "RGBA", "size"])
    def test_an_image_that_cannot_serve(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], cam_inputs: list[object], mode: str
    ) -> None:
        rows = "image_id,path,height,width,split\na,a.png,20,24,train\n"
        (tmp_path / "manifest.csv").write_text(rows, encoding="utf-8")
        if mode == "text":
            (tmp_path / "a.png").write_text("no image", encoding="utf-8")
        elif mode in ("cut", "chunk"):
            content = save_png(
                tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
            ).read_bytes()
            last = content.rindex(b"IDAT")
            damaged = content[:last] if mode == "cut" else content[:last] + b"\xa6\x06|\xa4" + content[last + 4 :]
            (tmp_path / "a.png").write_bytes(damaged)
        elif mode != "gone":
            shape = {"RGBA": (20, 24, 4), "size": (24, 20, 3)}[mode]
            save_png(tmp_path / "a.png", np.zeros(shape, np.uint8))
        options = [*cam_inputs, "--manifest", tmp_path / "manifest.csv"]
        assert str(tmp_path / "a.png") in refused(capsys, tmp_path, "make-cams", *options, "--out", tmp_path / "c.h5")

    def test_a_place_where_nothing_can_be_written(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], cam_inputs: list[object]
    ) -> None:
        (tmp_path / "file").write_text("", encoding="utf-8")
        assert str(tmp_path / "file") in refused(
            capsys, tmp_path, "make-cams", *cam_inputs, "--out", tmp_path / "file" / "c.h5"
        )

    def test_a_gpu_where_there_is_none(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        cam_inputs: list[object],
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        options = [*cam_inputs, "--device", "cuda"]
        assert "--device cuda" in refused(capsys, tmp_path, "make-cams", *options, "--out", tmp_path / "c.h5")


class TestWalks:
    def test_images_are_those_of_the_manifest_in_its_order(self, tmp_path: Path) -> None:
        sizes = CacheReader([CAMS], "cam")
        rows = [
            "{},x.png,{},{},{}\n".format(scene, *sizes.size(scene), split)
            for scene, split in (("three_classes", "a"), ("noisy_fields", "b"), (SCENE, "a"))
        ]
        (tmp_path / "manifest.csv").write_text("image_id,path,height,width,split\n" + "".join(rows), encoding="utf-8")
        command = ["random-walk", "--cams", CAMS, "--fields", FIELDS, "--steps", 1, "--workers", 0]
        command += ["--manifest", tmp_path / "manifest.csv"]
        run(*command, "--out", tmp_path / "all.h5")
        run(*command, "--out", tmp_path / "split.h5", "--split", "a")
        run(*command, "--out", tmp_path / "shard.h5", "--split", "a", "--shard", "1/2")
        assert CacheReader([tmp_path / "all.h5"], "walk").ids == ["three_classes", "noisy_fields", SCENE]
        assert CacheReader([tmp_path / "split.h5"], "walk").ids == ["three_classes", SCENE]
        assert CacheReader([tmp_path / "shard.h5"], "walk").ids == [SCENE]

    def test_a_split_needs_a_manifest(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command = ["random-walk", "--cams", CAMS, "--fields", FIELDS, "--out", tmp_path / "w.h5"]
        assert "--manifest" in refused(capsys, tmp_path, *command, "--split", "train")

    def test_an_image_of_the_manifest_that_a_cache_lacks(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "manifest.csv").write_text(
            "image_id,path,height,width,split\nother,x.png,1,1,train\n", encoding="utf-8"
        )
        command = ["random-walk", "--cams", CAMS, "--fields", FIELDS, "--manifest", tmp_path / "manifest.csv"]
        assert "'other'" in refused(capsys, tmp_path, *command, "--out", tmp_path / "w.h5")


class TestCams:
    def test_shards_workers_and_splits(self, tmp_path: Path, cam_inputs: list[object]) -> None:
        run("make-cams", *cam_inputs, "--scales", 1, 0.5, "--out", tmp_path / "whole.h5")
        parts = [tmp_path / "0.h5", tmp_path / "1.h5"]
        for index, part in enumerate(parts):
            run(
                "make-cams",
                *cam_inputs,
                "--scales",
                1,
                0.5,
                "--out",
                part,
                "--shard",
                f"{index}/2",
                "--split",
                "train",
                "--workers",
                2,
            )
        whole, found = read_all(tmp_path / "whole.h5", "cam"), read_all(parts, "cam")
        assert list(whole) == list(found) == ["a", "b"]
        assert whole["b"]["cam"].shape == (0, 5, 6)
        for image_id, arrays in whole.items():
            for name, array in arrays.items():
                np.testing.assert_allclose(found[image_id][name], array, rtol=0, atol=1e-3)

    def test_the_record_in_the_file(self, tmp_path: Path, cam_inputs: list[object]) -> None:
        run("make-cams", *cam_inputs, "--scales", 0.5, "--out", tmp_path / "c.h5")
        with h5py.File(tmp_path / "c.h5") as file:
            record = json.loads(file.attrs["provenance"])
        assert record["stage"] == "make_cams"
        assert record["settings"]["cam.scales"] == [0.5]
        assert not any(str(folder) in str(record) for folder in (tmp_path, Path(str(cam_inputs[1])).parent))

    def test_an_image_without_classes_is_background_to_the_end(self, tmp_path: Path, cam_inputs: list[object]) -> None:
        run("make-cams", *cam_inputs, "--scales", 1, "--out", tmp_path / "c.h5")
        run(
            "make-ir-labels",
            "--manifest",
            cam_inputs[1],
            "--cams",
            tmp_path / "c.h5",
            "--out",
            tmp_path / "i.h5",
            "--workers",
            0,
        )
        with CacheWriter(tmp_path / "f.h5", "field", {"stage": "test"}) as cache:
            for image_id in ("a", "b"):
                cache.write(image_id, 20, 24, {"boundary": np.full((5, 6), 0.5), "displacement": np.zeros((2, 5, 6))})
        walk = ["random-walk", "--cams", tmp_path / "c.h5", "--fields", tmp_path / "f.h5", "--out", tmp_path / "w.h5"]
        run(*walk, "--workers", 0)
        run("make-labels", "--walks", tmp_path / "w.h5", "--out", tmp_path / "l.h5", "--workers", 0)
        assert not read_all(tmp_path / "i.h5", "ir_label")["b"]["label"].any()
        label = read_all(tmp_path / "l.h5", "label")["b"]
        assert not label["semantic"].any()
        assert not label["instance_map"].any()
        assert label["instance_class"].shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["predict", "--weight", "w.pt"],
            "irn predict: --weight: no such option; did you mean --weights?; see irn predict",
        ),
        (["predict", "--qqq=1"], "irn predict: --qqq: no such option; see irn predict --help"),
        (["predct"], "irn: argument COMMAND: 'predct' is not known; did you mean predict?; see irn --help"),
        (["masks"], "irn: argument COMMAND: 'masks' is not known; see irn --help"),
        (["check-data", "--kind", "Folder", "--root", "x"], "'Folder' is not known; did you mean folder?"),
        (["make-labels", "--walks", ".", "--out", "o.h5"], ".: a folder, where cache files are expected; name those"),
        (["make-labels", "--walks", "t.csv", "--out", "o.h5"], "t.csv: not an HDF5 file, as caches are; name one"),
    ],
)
def test_slips_in_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("image_id,cat\n")
    assert said in refused(capsys, tmp_path, *arguments)
