"""`inboxd search`: finds words in everything that was read or transcribed."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import load_settings_for_viewing, print_json
from daemon.cli.options import ConfigOption, JsonOption
from daemon.config.settings import Settings
from daemon.core.errors import InboxdError

if TYPE_CHECKING:
    from daemon.search.hits import Found


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORDS...", help='Words, a "phrase", or the start of a word: bal*'),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Maximum number of results.")] = 20,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Rebuild the index from the outbox first.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search the text of all results: documents, transcripts, rows of statements, and file names.

    All words must occur in the same page, row or paragraph. Case, accents and umlauts make no difference. The first
    search builds an index, which takes a while if there are many results. The exit code is 1 if nothing is found."""
    from daemon.search import hits, index, query

    settings = load_settings_for_viewing(config_file)
    text = " ".join(f'"{word}"' if " " in word and '"' not in word else word for word in words or ())
    if not rebuild and not query.parse(text):
        raise hits.no_words()
    if rebuild:
        index.remove(settings.state / index.NAME)
    _bring_up_to_date(settings)
    if not words:
        return
    found = hits.search(settings.state, settings.outbox, text, limit=limit)
    if as_json:
        print_json([hits.facts_of(result) for result in found.results])
    else:
        _show(found, settings)
    if not found.results:
        raise typer.Exit(1)


def _bring_up_to_date(settings: Settings) -> None:
    """Update the index; without it, the search still finds what is in it."""
    from daemon.search import index, update

    is_terminal = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        if is_terminal and done < total:
            print(f"\rIndexing: {done} of {total} results", end="", file=sys.stderr, flush=True)

    try:
        update.update(settings, show)
    except InboxdError as error:
        if not (settings.state / index.NAME).exists():
            raise
        print(f"inboxd: the latest results may be missing. {error.what}", file=sys.stderr)
    finally:
        if is_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _show(found: "Found", settings: Settings) -> None:
    from daemon.cli import search_view, terminal

    out = terminal.out()
    out.print(search_view.results(found, outbox=str(settings.outbox)) if found.results else "Nothing found.")
