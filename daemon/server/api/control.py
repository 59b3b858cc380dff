"""Commands about the daemon itself: probe, pause, resume, unload, recipes and reload."""

from pydantic import Field, JsonValue

from daemon.server.api.base import Command, Reply, Text


class Probe(Command):
    """Check the inbox, the disks, and the weights and servers that parked jobs wait for, now."""

    name = "probe"


class PauseReply(Reply):
    running: int  # jobs that still run


class Pause(Command):
    """Start no more work; running jobs may finish or, with `now`, are put back into the queue."""

    name = "pause"

    reason: Text = ""
    now: bool = False


class ResumeReply(Reply):
    closed: Text | None  # why no work is started nevertheless


class Resume(Command):
    """End the pause."""

    name = "resume"


class UnloadReply(Reply):
    ended: list[Text]  # processors whose idle workers end
    busy: list[Text]  # processors whose workers have jobs, and stay


class Unload(Command):
    """End the workers that have no job, which frees the memory of their models."""

    name = "unload"


class RecipeDescription(Reply):
    """See `daemon.config.recipes.RecipeFacts`. Its JSON Schema is called `schema` on the wire."""

    recipe: Text = Field(alias="name")
    is_built_in: bool
    processor: Text
    runs_on: Text | None
    note: Text
    kinds: list[Text]
    folders: list[Text]
    options: dict[str, JsonValue]
    options_schema: dict[str, JsonValue] = Field(alias="schema")
    settable: list[Text] = []  # an earlier version does not report it


class RecipesReply(Reply):
    recipes: list[RecipeDescription]


class Recipes(Command):
    """Describe the recipes, with the JSON Schemas of their options."""

    name = "recipes"


class ReloadReply(Reply):
    changed: list[Text]  # settings


class Reload(Command):
    """Apply config.toml to everything that starts from now on."""

    name = "reload"
