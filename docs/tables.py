"""Write the tables that the code decides into the pages, between their markers, and the JSON schema for editors: make tables."""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from rebuilds import EDITS, named  # noqa: E402

from irn.cli import build_parser  # noqa: E402
from irn.settings.config import as_text, read_config, table  # noqa: E402
from irn.settings.values import Settings, value  # noqa: E402
from irn.workflow.stages import COMMANDS, REPORT, STAGES, behind  # noqa: E402

ALL = (*STAGES, REPORT)
# Behind every edit that makes anything again.
AT_THE_END = {"gather_scores", "report"}
# What runs again after edits of keys that no stage gets, or that decide which files there are.
FILES_ALONE = {
    "run": "`report`, which has its name; the new folder shows what there is",
    "gpus": "nothing",
    "seeds": "for each new seed `train_cam` →",
    "sweep": "for each combination the first stage that gets a swept key →",
    "ablation": "`ablation` alone, once; nothing is trained or inferred",
    "shards": "the per-image stages, which get new files; never training",
    "dataset.eval_split": "the per-image stages for splits without labels, `evaluate`, `show`; never training",
}


def pages() -> dict[Path, str]:
    """The text that each file should have."""
    found = {ROOT / "configs/schema.json": json.dumps(Settings.model_json_schema(), indent=1)}
    tables = {
        "docs/configuration.md": {"settings": _settings(), "edits": _edits(), "behind": _behind()},
        "docs/caches.md": {"files": _files()},
        "docs/hpc.md": {"stages": _stages()},
        "docs/commands.md": {"commands": _commands()},
    }
    for name, parts in tables.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        for marker, lines in parts.items():
            pattern = rf"(<!-- {marker}: begin -->\n).*?(<!-- {marker}: end -->)"
            text, count = re.subn(
                pattern, lambda found, lines=lines: found[1] + "\n".join(lines) + "\n" + found[2], text, flags=re.S
            )
            assert count == 1, f"{name}: no place for {marker}"
        found[ROOT / name] = text
    return found


def _settings() -> list[str]:
    lines = ["| key | not set | demonstration | meaning | runs again |", "|---|---|---|---|---|"]
    demonstration = read_config()
    for row in table().values():
        first = [stage for stage in row.stages if not any(stage in behind(other) for other in row.stages)]
        again = FILES_ALONE.get(row.key) or named(
            tuple(first), {name for one in first for name in behind(one)} > AT_THE_END
        )
        own = value(demonstration, row.key)
        shown = "" if own == row.default else f"`{as_text(own)}`"
        lines.append(f"| `{row.key}` | `{as_text(row.default)}` | {shown} | {row.meaning} | {again} |")
    return lines


def _edits() -> list[str]:
    rows = [f"| {edit.edit} | {named(edit.rules, edit.behind, edit.note)} |" for edit in EDITS.values()]
    return ["| edit | runs again |", "|---|---|", *rows]


def _behind() -> list[str]:
    rows = [f"| `{stage.name}` | {', '.join(f'`{name}`' for name in stage.reads.split()) or '-'} |" for stage in STAGES]
    return ["| rule | reads |", "|---|---|", *rows]


def _files() -> list[str]:
    made = {
        stage.name: "`<split>/<I>-of-<N>.h5`"
        if stage.per_image
        else ", ".join(f"`{name}`" for name in stage.makes.split())
        for stage in ALL
    }
    return ["| stage | its files |", "|---|---|", *(f"| `{name}` | {files} |" for name, files in made.items())]


def _stages() -> list[str]:
    lines = ["| rule | cores | memory, MB | minutes | GPU |", "|---|---|---|---|---|"]
    for stage in ALL:
        base, each = stage.memory
        memory = f"{base} + {each} per core" if each else str(base)
        gpus = ("`gpus`" if stage.shares_batches else "one") if stage.gpu else ""
        lines.append(f"| `{stage.name}` | {stage.cores} | {memory} | {stage.minutes} | {gpus} |")
    return lines


def _commands() -> list[str]:
    (subparsers,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    lines = []
    for command in COMMANDS.values():
        lines += [f"## {command.words}", "", command.help, "", "| option | values | meaning |", "|---|---|---|"]
        for action in subparsers.choices[command.words]._actions[1:]:
            required = " (required)" if action.required else ""
            lines.append(
                f"| `{action.option_strings[0]}`{required} | {_values(action)} | {_escaped((action.help or '') % vars(action))} |"
            )
        lines.append("")
    return lines


def _values(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    one = (
        " or ".join(f"`{choice}`" for choice in action.choices)
        if action.choices
        else f"`{action.metavar or action.dest.upper()}`"
    )
    return f"{one} ..." if action.nargs in ("+", "*") else one


def _escaped(text: str) -> str:
    return re.sub(r"of \d+ cores", "of the cores", text).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
