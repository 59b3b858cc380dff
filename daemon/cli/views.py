"""The commands' output as tables and lines of rich: jobs, the status, one job, a check."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from daemon.cli.terminal import WIDE, OneLine, amount_of, clock, local_time, safe_text, short_time, span, zone_name
from daemon.doctor.finding import shown_bytes
from daemon.files.flat import shown
from daemon.queue.rows import AttemptRow, EventRow, JobRow, ShownRow
from daemon.server import api

if TYPE_CHECKING:
    from daemon.config.recipes import RecipeFacts
    from daemon.doctor.checks import Check
    from processors.statements.layouts.record import RememberedLayout

_STYLES = {"done": "green", "failed": "red", "cancelled": "red", "running": "cyan", "publishing": "cyan"}


class JobsTable:
    """Jobs with one line each: what is too long for the terminal is cut. The name of the file matters most: in a narrow
    terminal, it gets the room of the recipe's column, and twice as much as the result."""

    def __init__(self, rows: Sequence[JobRow]):
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        is_wide = options.max_width >= WIDE
        table = _one_line_table()
        table.add_column("file", no_wrap=True, ratio=1 if is_wide else 2)
        for name in ("recipe", "state", "sec") if is_wide else ("state", "sec"):
            table.add_column(name, no_wrap=True, overflow="crop", justify="right" if name == "sec" else "left")
        table.add_column("result", no_wrap=True, ratio=1)
        for row in self._rows:
            _, recipe, state, seconds = _cells(row)
            job, received, file = row["id"][:8], short_time(row["received_at"]), OneLine(row["file"], keep_end=True)
            recipes = [OneLine(recipe, keep_end=True)] if is_wide else []
            table.add_row(job, received, file, *recipes, state, seconds, _result_in_one_line(row))
        yield table


def _result_in_one_line(row: JobRow) -> OneLine:
    """Where the result is, or why the job failed or is waiting."""
    if row["state"] == "done":
        return OneLine(shown(row["result_path"] or ""), keep_end=True)
    return OneLine(row["waiting_for"] or row["error"] or "", keep_end=False, style="dim")


def reviews_table(rows: Sequence[JobRow]) -> Table:
    """Jobs with the reasons why someone should review their results, which are shown in full."""
    table = _one_line_table()
    table.add_column("file", no_wrap=True, ratio=2)
    table.add_column("to review", overflow="fold", ratio=5)
    for row in rows:
        reasons = "\n".join(f"- {' '.join(reason.split())}" for reason in json.loads(row["review"] or "[]"))
        table.add_row(
            row["id"][:8], short_time(row["received_at"]), OneLine(row["file"], keep_end=True), safe_text(reasons)
        )
    return table


def _one_line_table() -> Table:
    """An empty table with the columns "job" and "time", whose heading names the zone of the times."""
    table = Table(box=None, header_style="bold", pad_edge=False, expand=True)
    table.add_column("job", no_wrap=True)
    table.add_column(f"time ({zone_name()})", no_wrap=True)
    return table


def results_table(rows: Sequence[ShownRow], *, outbox: str) -> Table:
    """Jobs as a table with the first words of each result, for the end of a run."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("recipe")
    table.add_column("state")
    table.add_column("seconds", justify="right")
    table.add_column("result", overflow="fold")
    table.add_column("first words", overflow="fold", max_width=48)
    for row in rows:
        result = safe_text((outbox + shown(row["result_path"])) if row["result_path"] else "")
        table.add_row(*_cells(row), result, _first_words(row))
    return table


def _cells(row: ShownRow) -> tuple[Text, str, Text, str]:
    """The file, the recipe, the state and the seconds."""
    state = safe_text(row["state"] + (" (review)" if row["review"] else ""), style=_style(row))
    seconds = f"{row['run_seconds']:.1f}" if row["run_seconds"] is not None else ""
    return safe_text(row["file"]), row["recipe"] or "-", state, seconds


def _first_words(row: ShownRow) -> Text:
    """The first words of a result, or why the job failed or is waiting."""
    if row["state"] != "done":
        return safe_text(row["waiting_for"] or row["error"] or "", style="red" if row["error"] else "yellow")
    words = " ".join(row["excerpt"].split())
    return safe_text(words[:140] + ("…" if len(words) > 140 else ""))


def _style(row: ShownRow) -> str:
    return "yellow" if row["review"] else _STYLES.get(row["state"], "")


def status_view(reply: api.StatusReply) -> Group:
    """The reply to the command `status`."""
    jobs = reply.jobs
    counts = " · ".join(f"{jobs.get(state, 0)} {state}" for state in ("queued", "running", "done", "failed"))
    counts += f" · {jobs['cancelled']} cancelled" if jobs.get("cancelled") else ""
    header = safe_text(f"inboxd {reply.version}, process {reply.pid}, up {span(reply.uptime_seconds)}: ")
    parts = [header.append(counts, style="bold"), safe_text(f"{reply.inbox} -> {reply.outbox}", style="dim")]
    for row in reply.running:
        seconds = time.time() - (row.started_at_us or 0) / 1e6
        words = f"  {row.file}: {row.recipe}, {span(seconds)} {amount_of(row.progress)}"
        parts.append(safe_text(words.rstrip(), style="cyan"))
    parts += [safe_text(f"  {_worker_line(worker)}") for worker in reply.workers]
    parts += [safe_text(f"  {line}", style="dim") for line in device_lines(reply.devices)]
    if reply.ignored_in_inbox:
        parts.append(safe_text(f"  {reply.ignored_in_inbox} ignored in the inbox, by name", style="dim"))
    return Group(*parts, *problem_lines(reply))


def _worker_line(worker: api.WorkerStatus) -> str:
    """What a worker does, and the model that it holds."""
    words = f"{worker.processor} (process {worker.pid}) is {worker.state}"
    where = f" on {worker.device}" if worker.device else ""
    if worker.model is None:
        return f"{words}{where} {amount_of(worker.loading)}".rstrip()
    return f"{words}, {worker.model}{where}" if worker.model != api.NO_MODEL else f"{words}; it needs no model"


def device_lines(devices: list[api.DeviceStatus], *, least: int = 2) -> list[str]:
    """What is loaded on each device; nothing where there are fewer than `least`: the CPU is the only one."""
    if len(devices) < least:
        return []
    return [
        f"{each.name}{f' ({each.model})' if each.model else ''}: {each.loaded} of {each.at_once} models, about "
        f"{shown_bytes(each.memory_bytes)}"
        + (f" of {shown_bytes(each.memory_limit_bytes)}" if each.memory_limit_bytes is not None else "")
        + f", {each.jobs} running"
        + (": its node is lost" if each.is_lost else "")
        for each in devices
    ]


def cluster_view(reply: api.StatusReply) -> Group:
    """The nodes of the cluster, their devices, and the workers there."""
    cluster = reply.cluster
    assert cluster is not None
    state = "connected" if not cluster.problem and cluster.was_seen else cluster.problem or "connecting"
    parts = [safe_text(f"Ray cluster {cluster.address}: {state}", style="bold")]
    for node in cluster.nodes:
        gpus = f", {node.gpus} GPU{'' if node.gpus == 1 else 's'} {node.gpu_model}".rstrip() if node.gpus else ""
        lost = ": lost" if node.is_lost else ""
        parts.append(safe_text(f"{node.name} ({node.host}, {node.cpus} CPUs{gpus}){lost}", style="red" if lost else ""))
        parts += [safe_text(f"  {line}", style="dim") for line in _lines_of_node(node.name, reply)]
    if not cluster.nodes and not cluster.problem:
        parts.append(safe_text("No node besides this machine. To add one, run on it: ray start --address=HOST:PORT"))
    return Group(*parts)


def _lines_of_node(node: str, reply: api.StatusReply) -> Iterator[str]:
    devices = [each for each in reply.devices if each.node == node]
    yield from device_lines(devices, least=1)
    for device in devices:
        yield from (f"{device.name}: {processor} cannot work: {why}" for processor, why in device.parked.items())
    for worker in reply.workers:
        if worker.node == node:
            model = f", {worker.model}" if worker.model else ""
            yield f"{worker.processor}{model} is {worker.state} on {worker.device} (process {worker.pid} here)"


def attention_lines(review: int, failed: int, *, days: int) -> list[str]:
    """What a person should look at, and the commands that show it."""
    found = ((review, "to review", "--review"), (failed, "failed", "--failed"))
    return [f"  {n} {what} in the last {days} days: inboxd jobs {flag} --since {days}d" for n, what, flag in found if n]


def problem_lines(reply: api.StatusReply) -> list[Text]:
    """From the same reply: what stops the daemon from working, or a file from being taken."""
    lines = [safe_text(f"  {reply.closed}", style="yellow")] if reply.closed else []
    for group in reply.waiting:
        files = ", ".join(group.files) + (", …" if group.count > len(group.files) else "")
        lines.append(safe_text(f"  {group.count} waiting ({files}): {group.why}", style="yellow"))
    lines += [safe_text(f"  {problem}", style="red") for problem in reply.problems()]
    for field, reasons, label, style in (
        ("unplaced", reply.unplaced, "not recovered: ", "red"),
        ("left_in_inbox", reply.left_in_inbox, "left in the inbox: ", "yellow"),
        ("watch_problems", reply.watch_problems, "", "yellow"),
    ):
        lines += [safe_text(f"  {label}{name}: {why}", style=style) for name, why in reasons.items()]
        if more := reply.not_shown.get(field):
            lines.append(safe_text(f"  {label}and {more} more", style=style))
    return lines


def job_view(row: JobRow, attempts: Sequence[AttemptRow], events: Sequence[EventRow], *, outbox: str) -> Group:
    """Everything about one job."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in row.items():
        if value not in (None, ""):
            words = f"{outbox}/{shown(str(value))}" if name == "result_path" else str(value)
            table.add_row(name, safe_text(local_time(words) if name.endswith("_at") else words))
    lines = [
        safe_text(
            f"attempt {attempt['attempt']}: {attempt['processor']} ({attempt['engine']}, {attempt['model']}, "
            f"{attempt['device']}): {attempt['outcome'] or 'running'} {attempt['error'] or ''}"
        )
        for attempt in attempts
    ]
    for event in events:
        detail = f": {event['detail']}" if event["detail"] else ""
        lines.append(safe_text(f"{clock(event['at'] / 1e6)} {event['event']}{detail}", style="dim"))
    return Group(table, *lines)


def recipes_view(recipes: Sequence["RecipeFacts"]) -> Group:
    """The recipes as a table. Below it, each reason once why a recipe cannot run now, or may be unable to."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("recipe", "for", "processor", "folders", "now"):
        table.add_column(column, overflow="fold")
    noted = [each for each in recipes if each["note"] and each["runs_on"] in (None, each["processor"])]
    reasons = list(dict.fromkeys(each["note"] for each in noted))
    for each in recipes:
        folders = ", ".join(name or "(top)" for name in each["folders"]) or "none"
        now = "not yet" if each["runs_on"] is None else f"ready, on {each['runs_on']}"
        now += f" [{reasons.index(each['note']) + 1}]" if each in noted else ""
        table.add_row(*map(safe_text, (each["name"], ", ".join(each["kinds"]), each["processor"], folders, now)))
    return Group(table, *(safe_text(f"[{number}] {reason}") for number, reason in enumerate(reasons, 1)))


def layouts_table(layouts: Sequence["RememberedLayout"]) -> Table:
    """The remembered layouts of statements as a table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "bank", "headings"):
        table.add_column(column, overflow="fold")
    table.add_column("confirmed by", justify="right")
    for column in ("learned", "last used"):
        table.add_column(column, no_wrap=True)
    for each in layouts:
        headings = ", ".join(cell.text for cell in each.headings) or "none"
        texts = (each.name, each.bank.name or ", ".join(each.bank.readable_keys) or "not known", headings)
        table.add_row(*map(safe_text, texts), str(each.confirmed), str(each.learned), str(each.used))
    return table


def layout_view(layout: "RememberedLayout") -> Table:
    """Everything about one remembered layout. Places are in percent of the page's width."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    conventions = layout.conventions
    facts = {
        "name": layout.name,
        "bank": layout.bank.name,
        "known by": ", ".join(layout.bank.keys),
        "headings": ", ".join(f"{each.text} ({_percent(each.left)})" for each in layout.headings),
        "columns": ", ".join(f"{each.column} ({_percent(each.left, each.right)})" for each in layout.columns),
        "headings are known words": "yes" if layout.has_known_headings else "no",
        "decimal mark": layout.decimal_mark,
        "dates": {"dmy": "day first", "mdy": "month first", None: None}[conventions.date_order],
        "rows": {True: "newest first", False: "oldest first", None: None}[conventions.newest_first],
        "amounts without a sign": {1: "money in", -1: "money out", None: None}[conventions.unmarked],
        "positive amounts": {True: "charged to a card", False: "money in", None: None}[conventions.is_card],
        "learned": str(layout.learned),
        "last used": str(layout.used),
        "confirmed by": f"{layout.confirmed} statement{'' if layout.confirmed == 1 else 's'}",
    }
    for name, value in facts.items():
        if value:
            table.add_row(name, safe_text(value))
    return table


def _percent(*shares: float) -> str:
    return "-".join(f"{100 * share:.0f}" for share in shares) + " %"


def check_line(check: "Check") -> Table:
    """One line of `inboxd doctor`, with the fix below it."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for width in (4, 9):
        table.add_column(width=width)
    table.add_column(overflow="fold")
    style = {"ok": "green", "warn": "yellow"}.get(check.verdict, "bold red")
    table.add_row(Text(check.verdict, style=style), check.what, safe_text(check.found))
    if check.fix and check.verdict != "ok":
        table.add_row("", "", safe_text(f"-> {check.fix}", style="bold"))
    return table
