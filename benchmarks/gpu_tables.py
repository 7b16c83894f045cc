"""The tables of benchmarks/gpu.py, in Markdown."""

from typing import Any, NamedTuple

IMAGES = 10_582  # of VOC's training split with the further annotations of SBD


class Rate(NamedTuple):
    """What one loop of a stage did: images a second, or why it was not measured; passes over the images in a run."""

    stage: str
    backbone: str
    precision: str
    passes: int
    images_a_second: float | None
    memory: int  # bytes on the GPU, the most
    why_not: str = ""


def tables(rates: list[Rate], loading: list[dict[str, Any]], machine: dict[str, str], small: bool) -> str:
    """All of them, and what they were measured on."""
    words = "; ".join(f"{name} {value}" for name, value in machine.items())
    lines = [*table_of_stages(rates), *table_of_loading(loading)]
    lines += ["", "Tiny images: whether all runs, not how fast."] if small else []
    return "\n".join([*lines, "", f"Measured on: {words}."])


def table_of_stages(rates: list[Rate]) -> list[str]:
    """Images a second and hours of 10,582 images: a line a stage, a column a network and number format."""
    columns = list(dict.fromkeys((rate.backbone, rate.precision) for rate in rates))
    by_place = {(rate.stage, rate.backbone, rate.precision): rate for rate in rates}
    names = list(dict.fromkeys(rate.stage for rate in rates))
    head = " | ".join(f"{backbone}, {precision}" for backbone, precision in columns)
    lines = [f"| images a second | {head} |", "|---|" + "---|" * len(columns)]
    for name in names:
        cells = [_speed(by_place.get((name, *column))) for column in columns]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    lines += ["", f"| hours for {IMAGES:,} images, by multiplication | {head} |", "|---|" + "---|" * len(columns)]
    for name in names:
        of_name = [by_place.get((name, *column)) for column in columns]
        passes = next(rate.passes for rate in of_name if rate)
        what = f"`{name}`" if passes == 1 else f"`{name}`, {passes} epochs"
        lines.append(f"| {what} | {' | '.join(map(_hours, of_name))} |")
    reasons = dict.fromkeys(
        f"`{rate.stage}`, {rate.backbone}, {rate.precision}: {rate.why_not}" for rate in rates if rate.why_not
    )
    return [*lines, "", *(f"Not measured: {reason}." for reason in reasons)]


def _speed(rate: Rate | None) -> str:
    if rate is None or rate.images_a_second is None:
        return ""
    memory = f" ({rate.memory / 2**30:.1f} GiB)" if rate.memory else ""
    return f"{rate.images_a_second:.3g}{memory}"


def _hours(rate: Rate | None) -> str:
    if rate is None or not rate.images_a_second:
        return ""
    return f"{rate.passes * IMAGES / rate.images_a_second / 3600:.2g}"


def table_of_loading(rows: list[dict[str, Any]]) -> list[str]:
    """Images a second that are loaded, by the number of processes."""
    names = [name for name in rows[0] if name != "workers"]
    lines = ["", f"| processes that load | {' | '.join(names)}, images a second |", "|---|" + "---|" * len(names)]
    lines += [f"| {row['workers']} | {' | '.join(f'{row[name]:.3g}' for name in names)} |" for row in rows]
    return lines
