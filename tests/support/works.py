"""The work of a processor on one file."""

import mimetypes
from pathlib import Path

from processors.contract import Kind, RecipeOptions, Work

_TYPES = mimetypes.MimeTypes()  # without those of this machine
_KINDS = {"image": Kind.IMAGE, "audio": Kind.AUDIO, "video": Kind.AUDIO}


def work_on(
    source: Path, *, outputs: Path | None = None, options: RecipeOptions | None = None, **fields: object
) -> Work:
    """The first attempt at a file, which need not exist. The outputs go beside it, into a folder that is created if
    necessary, unless `outputs` names another. Kind and media type are those of the name."""
    media_type = str(fields.pop("media_type", _TYPES.guess_type(source.name)[0] or "application/octet-stream"))
    kind = Kind.IMAGE if media_type == "application/pdf" else _KINDS.get(media_type.split("/")[0], Kind.TEXT)
    outputs = outputs or source.parent
    outputs.mkdir(parents=True, exist_ok=True)
    given = {"job": "job", "attempt": 1, "kind": kind, "stem": source.stem, "recipe": "read", **fields}
    return Work(source=source, outputs=outputs, media_type=media_type, options=options or RecipeOptions(), **given)
