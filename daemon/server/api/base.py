"""Base classes of commands and replies.

Models are built when they are first used, as each process uses few of them: building all takes 40 ms.
"""

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _encodable(text: object) -> object:
    """Escape lone surrogates: JSON and the names of files may contain them, and pydantic refuses them."""
    return text.encode("utf-8", "backslashreplace").decode() if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(_encodable)]


class Reply(BaseModel):
    """The reply to a command that succeeded."""

    model_config = ConfigDict(populate_by_name=True, defer_build=True)

    def to_wire(self) -> dict[str, object]:
        return self.model_dump(mode="json", by_alias=True)


class Command(BaseModel):
    """Base of the commands; the fields are the arguments."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    name: ClassVar[str]  # on the wire


class Done(Reply):
    """The reply to a command that was carried out and has nothing to report."""
