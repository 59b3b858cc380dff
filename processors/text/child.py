"""The process that reads one document: `python -m processors.text.child`, with a request as JSON on stdin.

It writes the text, the attachments and result.json into the folder of the outputs. Its memory, its processor time and
the size of its files are limited, so a document that is made to exhaust a program ends this process only.
"""

import json
import logging
import sys
from pathlib import Path

from processors.contract import BadInput, Unavailable
from processors.text.document import TextDocument
from processors.text.limits import Limits
from processors.text.reader import DISK_STATUS, OF_THE_DISK, RESULT, TEXT, Request

_UNREADABLE = (
    "inboxd cannot read this document: it may be damaged. Open it on your computer, export it as PDF and drop that. "
    "The cause is in the log (journalctl -u inboxd)."
)
_TOO_DEEP = "This file is nested too deeply for a real document. Export it as PDF and drop that."


def main() -> None:
    request: Request = json.load(sys.stdin)
    Limits(memory_bytes=request["memory_bytes"], cpu_seconds=request["cpu_seconds"]).apply()
    answer = Path(request["outputs"]) / RESULT
    try:
        answer.write_text(json.dumps(_answer(request)), encoding="utf-8")
    except OSError as error:
        if error.errno in OF_THE_DISK:
            sys.exit(DISK_STATUS + error.errno)
        raise


def _answer(request: Request) -> dict[str, object]:
    from processors.text import formats

    outputs = Path(request["outputs"])
    with (outputs / TEXT).open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        document = TextDocument(file=file, folder=outputs)
        try:
            formats.read(Path(request["source"]), request["media_type"], document, attachments=request["attachments"])
        except BadInput as error:
            return {"bad_input": str(error)}
        except Unavailable as error:
            return {"unavailable": str(error)}
        except MemoryError:
            return {"too_much": True}
        except RecursionError:
            return {"bad_input": _TOO_DEEP}
        except Exception as error:  # error boundary: a library fails on this document, and would again
            if isinstance(error, OSError) and error.errno is not None:
                raise
            logging.exception("cannot read %s", request["source"])
            return {"bad_input": _UNREADABLE}
    return dict(document.summary())


if __name__ == "__main__":
    main()
