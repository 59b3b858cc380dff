"""The decision of how a recipe is carried out at present."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from daemon.scheduling.pool import Pool
from processors import contract

_SHOWN_OF_STEP = {"recipe", "processor", "options", "recipe_options"}  # all that a step's result depends on


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The pool, the options and the note with which a recipe is currently run."""

    pool: Pool
    recipe_options: contract.RecipeOptions
    note: str  # why it is not the recipe's own processor, or why it is on the CPU; "" if it is as in config.toml
    then: tuple[contract.Step, ...] = ()  # the recipes that follow

    def shown_options(self, origins: Mapping[str, str]) -> dict[str, object]:
        """The recipe's options that somebody set or that differ from the default, for result.json. origins: the source
        of each."""
        differing = self.recipe_options.model_dump(mode="json", exclude_defaults=True)
        values = self.recipe_options.model_dump(mode="json")
        return {name: value for name, value in values.items() if name in differing or name in origins}

    def has_options(self, shown: object, *, is_of_this_version: bool) -> bool:
        """True if a result.json that shows these options was made with the options of this assignment. Those it omits
        had the defaults of its version, which only results of the same version share."""
        if not isinstance(shown, dict):
            return False
        defaults = type(self.recipe_options).model_construct().model_dump(mode="json") if is_of_this_version else {}
        return {**defaults, **shown} == self.recipe_options.model_dump(mode="json")

    @property
    def processor_options(self) -> dict[str, object]:
        """The options that decide what the worker loads, for result.json."""
        steps = [{name: value for name, value in asdict(step).items() if name in _SHOWN_OF_STEP} for step in self.then]
        return {**self.pool.options.load_options(), **({"then": steps} if steps else {})}
