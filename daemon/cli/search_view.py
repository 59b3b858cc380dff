"""Hits of a search as lines of rich."""

from collections.abc import Iterator

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from daemon.cli.terminal import safe_text, short_time
from daemon.search.hits import Found, FoundResult


def results(found: Found, *, outbox: str) -> Group:
    """The results, each with its folder and its hits."""
    lines: list[Text | Padding] = []
    for result in found.results:
        lines += [_heading(result, outbox), *_hits(result), Text("")]
    if found.next is not None:
        lines.append(Text("There are further results; raise --limit, or add words.", style="dim"))
    return Group(*lines)


def _heading(result: FoundResult, outbox: str) -> Text:
    row = result.row
    where = safe_text(f"  {row['id'][:8]}  {short_time(row['received_at'])}  {outbox}/{row['result_path']}")
    where.stylize("dim")
    return _bold(row["file"]).append_text(where)


def _bold(text: str) -> Text:
    shown = safe_text(text)
    shown.stylize("bold")
    return shown


def _hits(result: FoundResult) -> Iterator[Padding]:
    for hit in result.hits:
        line = safe_text(f"{hit.place}  " if hit.place else "")
        for part, is_match in hit.parts:
            shown = safe_text(part)
            shown.stylize("bold yellow" if is_match else "")
            line.append_text(shown)
        yield Padding(line, (0, 0, 0, 2))
    if result.more:
        yield Padding(Text(f"and {result.more} more", style="dim"), (0, 0, 0, 2))
