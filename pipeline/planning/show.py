"""Print a plan as a table."""

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from pipeline.frame import whole_run
from pipeline.planning.gpus import ASSUMED

_HEAD = ("stage", "units", "shards", "time", "memory", "GPU memory", "workspace", ".work at most", "DVC cache")
_UNITS = {"acquire": "", "synthesize": "texts", "train_teacher": "items"}  # else rows

TIMES = (
    "Times are of this machine, for all epochs (early stopping may spare some) and texts as long as the sample's; "
    "those with < are too short to measure in so small a pilot."
)

MEMORY = (
    "Memory is that of all processes of a stage in the pilot: stages in shards need no more for more rows, and `make "
    "bench-scale` measures the others at 470,586. GPU memory is that of a step of train.batch_size rows."
)


def duration(seconds: float | None) -> str:
    """Two units at most; of what could not be measured `?`."""
    return "?" if seconds is None else whole_run.duration(seconds)


def size(count: int) -> str:
    """Decimal units, as disks are sold."""
    for unit, power in (("TB", 12), ("GB", 9), ("MB", 6)):
        if count >= 10**power:
            return f"{count / 10**power:,.1f} {unit}"
    return f"{count / 1000:,.0f} kB" if count else "-"


def _line(stage: Mapping[str, Any]) -> tuple[str, ...]:
    name = str(stage["stage"])
    unit = _UNITS.get(name.partition("@")[0], "rows")
    amount = f"{stage['units']:,} {unit}" if unit else "-"
    shards = f"{stage['shards']:,}" if stage["shards"] else "-"
    time = ("< " if stage["at_most"] else "") + duration(stage["seconds"])
    sizes = (size(stage[f"{what}_bytes"]) for what in ("memory", "device", "workspace", "work_peak", "cache"))
    return (name, amount, shards, time, *sizes)


def show(plan: Mapping[str, Any]) -> str:
    """The whole plan."""
    machine = plan["machine"]
    head = (
        f"{plan['params']} on {machine['cores']} cores, {machine['workers']} workers, device {machine['device']}; "
        f"from a pilot of {plan['pilot_tweets']} tweets of the sample"
    )
    lines = [head]
    if plan["stages"]:
        lines += ["", *_table(plan), "", *_amounts(plan)]
    fatal = [need["what"] for need in plan["needs"] if need["fatal"]]
    notes = [need["what"] for need in plan["needs"] if not need["fatal"]]
    for head, found in (("Missing", fatal), ("To know", notes)):
        if found:
            lines += ["", f"{head}:", *(f"- {what}" for what in found)]
    lines += ["", "The run cannot succeed as things are." if fatal else "Nothing is missing."]
    return "\n".join(lines)


def _table(plan: Mapping[str, Any]) -> list[str]:
    rows = [_HEAD, *(_line(stage) for stage in plan["stages"])]
    disk = plan["disk"]
    seconds = [stage["seconds"] for stage in plan["stages"]]
    total = None if None in seconds else sum(seconds)
    most = (size(max(stage[f"{what}_bytes"] for stage in plan["stages"])) for what in ("memory", "device"))
    disks = (size(disk[f"{what}_bytes"]) for what in ("workspace", "work_peak", "cache"))
    totals = (duration(total), *most, *disks)
    rows.append(("all, one after the other", "", "", *totals))
    table: str = tabulate(rows, tablefmt="plain", colglobalalign="right", colalign=["left"], disable_numparse=True)
    return table.splitlines()


def _amounts(plan: Mapping[str, Any]) -> list[str]:
    rows, share, disk = plan["rows"], plan["kept_share"], plan["disk"]
    cache = "holds links, no bytes of its own" if plan["cache_is_linked"] else "copies all outputs: no hard links here"
    amounts = (
        f"{rows['rows']:,} rows in, {rows['clean_rows']:,} clean, {rows['distinct_texts']:,} distinct texts to speak, "
        f"{rows['speech_seconds'] / 3600:,.1f} hours of speech in the rows"
    )
    kept = (
        f"{rows['sier_rows']:,} rows kept: {share['used']:.1%} of those with speech (the paper: {share['paper']:.1%} "
        "of all); --kept-share sets another"
    )
    lines = [amounts, kept, f"Disk: {size(disk['required_bytes'])} in all; the DVC cache {cache}"]
    if disk["downloads_bytes"]:
        lines.append(f"Downloads besides: {size(disk['downloads_bytes'])} of B-T4SA; other sizes are not known before")
    return [*lines, TIMES, MEMORY, *_training(plan["training"])]


def _training(training: Mapping[str, Any]) -> list[str]:
    work = (
        f"{training['networks']} networks to train, {training['flops']:.1e} operations with all folds, seeds and epochs"
    )
    work += f", up to {size(training['checkpoint_bytes'])} of checkpoints written in turn"
    if training["measured_on"]:
        where = f"measured on {training['measured_on']} ({training['measured_in']}), the other stages here"
        return [f"{work}: {duration(training['seconds'])}, {where}"]
    times = (f"{name} {duration(3600 * hours)}" for name, hours in training["gpu_hours"].items())
    return [f"{work}. On a GPU: {'; '.join(times)}", ASSUMED]
