"""What the model is asked: the built-in prompts, and whose prompt counts for a drop."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from processors.base import BadInput, Work

if TYPE_CHECKING:
    from processors.vlm import AskOptions

MOST_BYTES = 16 * 1024  # of a prompt; a longer one is a document dropped under the wrong name

NO_TEXT = "[no text]"  # the answer that READ asks for where there is none

READ = (
    "Read all the text in this image and write it as Markdown, in reading order. Keep its lines, headings and lists; "
    "write a table as a Markdown table. Copy every word, number and sign exactly as it stands, in its own language: "
    "translate, correct, explain and add nothing. Write [illegible] for what cannot be read. "
    f"If there is no text at all, write only {NO_TEXT}"
)
DESCRIBE = (
    "Describe this image for someone who cannot see it: first what it is, in one sentence, then what it shows, "
    "and any text in it word for word. Say only what can be seen; say so where you are not sure."
)
BUILT_IN = {"read": READ, "describe": DESCRIBE}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    text: str  # asked of every page
    source: str  # whose it is: "sidecar", "recipe" or "built-in"


def of(work: Work, options: "AskOptions") -> Prompt:
    """The prompt of a drop: its NAME.prompt, else the recipe's, else the task's own.

    Raises:
        BadInput: NAME.prompt is empty, too long or no UTF-8; or there is no prompt at all.
    """
    if "prompt" in work.sidecars:
        return Prompt(text=_sidecar(work), source="sidecar")
    if options.prompt is not None:
        return Prompt(text=options.prompt, source="recipe")
    if options.task in BUILT_IN:
        return Prompt(text=BUILT_IN[options.task], source="built-in")
    name = f"{work.source.name}.prompt"
    raise BadInput(f'This needs a question: write it in a text file named "{name}" and drop both together.')


def _sidecar(work: Work) -> str:
    path = work.sidecars["prompt"]
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BadInput(
            f"The prompt {path.name} is longer than {MOST_BYTES // 1024} KiB. Shorten it and drop both again."
        )
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BadInput(
            f"The prompt {path.name} is not UTF-8 text (byte {error.start}). Save it as UTF-8 and drop both again."
        ) from error
    if not text:
        raise BadInput(f"The prompt {path.name} is empty. Write the question in it and drop both again.")
    return text
