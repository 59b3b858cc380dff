"""Commands whose help shows no type beside an option that takes no value: typer would print `--json <bool>`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from typer._click import Context, Parameter


class PlainCommand(TyperCommand):
    def get_params(self, ctx: "Context") -> list["Parameter"]:
        return _without_types_of_flags(super().get_params(ctx))


class PlainGroup(TyperGroup):
    def get_params(self, ctx: "Context") -> list["Parameter"]:
        return _without_types_of_flags(super().get_params(ctx))


def _without_types_of_flags(parameters: "Sequence[Parameter]") -> list["Parameter"]:
    for each in parameters:
        if getattr(each, "is_flag", False):
            each.metavar = ""
    return list(parameters)
