"""The stages and which recipe goes to which. A stage is a processor with the options that decide what its worker holds;
it has at most one worker. One that cannot work (weights or a server away) is parked for a growing while.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from daemon.config.settings import Settings
from daemon.core.job import Job
from daemon.intake.overrides import options_of
from daemon.workers.supervisor import Worker, WorkerState
from processors import contract, registry

log = logging.getLogger(__name__)

_DONE_ON_CPU = "Done on the CPU, as it did not fit into the memory of the GPU."
_PROBE_DOUBLINGS = 5  # the pause between two probes of a stage grows from `probe` to 32 times that


@dataclass(kw_only=True)
class Stage:
    """One processor with its load options. Times are of the monotonic clock."""

    processor: str
    options: contract.Options
    batch_limit: int  # at most `max_batch`; halved when a batch did not fit into memory
    worker: Worker | None = None
    idle_since: float = 0.0
    parked_until: float | None = None
    parked_for: str = ""
    parked_times: int = 0  # in a row
    storage_failures: int = 0  # in a row: outputs that could not be written
    memory_bytes: int = 0  # what its worker is thought to need of the memory that all share
    is_retired: bool = False  # its options are no longer in force: its worker finishes what it has, and ends

    def go_by(self, options: contract.Options) -> None:
        """Take other options that ask for the same worker; a living one keeps its limit of memory."""
        if options.max_batch != self.options.max_batch:
            self.batch_limit = options.max_batch
        if self.worker is not None:
            self.worker.timeout = options.timeout
        self.options = options

    @property
    def is_parked(self) -> bool:
        return self.parked_until is not None

    @property
    def may_be_joined(self) -> bool:
        """May its worker be handed jobs beside those it is busy with?"""
        return self.worker is not None and self.worker.may_be_joined

    @property
    def is_idle(self) -> bool:
        return self.worker is not None and self.worker.state is WorkerState.IDLE


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """How a recipe is carried out here and now."""

    stage: Stage
    recipe_options: contract.RecipeOptions
    note: str  # why another processor than the recipe's, or the CPU; "" if it is as config.toml says

    @property
    def shown_options(self) -> dict[str, Any]:
        """The recipe's options, as result.json tells them."""
        return self.recipe_options.model_dump(mode="json")

    @property
    def processor_options(self) -> dict[str, Any]:
        """What decides what the worker holds, likewise."""
        return self.stage.options.load_options()


class Stages:
    """All stages that were needed so far."""

    def __init__(self, settings: Settings, *, monotonic: Callable[[], float]):
        self._settings = settings
        self._monotonic = monotonic
        self._stages: dict[tuple[str, str, str], Stage] = {}  # by processor, load options and lane
        self._retired: list[Stage] = []  # with a worker still
        self._assignments: dict[
            tuple[str | None, str, bool], Assignment | contract.Missing
        ] = {}  # by what `assign` takes

    def __iter__(self) -> Iterator[Stage]:
        return iter([*self._stages.values(), *self._retired])

    def use(self, settings: Settings) -> None:
        """Go by other settings. A stage whose worker would hold the same stays, with its worker."""
        self._settings = settings
        before, self._stages = self._stages, {}
        self.forget_assignments()
        for recipe in settings.recipes:
            self.assign(recipe)  # makes the stages that are wanted now
        for key, stage in before.items():
            if key in self._stages:
                stage.go_by(self._stages[key].options)
                self._stages[key] = stage
            else:
                stage.is_retired = True
                self._retired.append(stage)
        self.forget_assignments()  # to stages that were there before
        self.forget_retired()

    def forget_retired(self) -> None:
        """Those whose worker has ended."""
        self._retired = [stage for stage in self._retired if stage.worker is not None]

    def lane(self, stage: Stage) -> Stage:
        """A second stage of the same kind, for short jobs while the first is busy with long ones."""
        return self._stage(stage.processor, stage.options, lane="short")

    def of(self, worker: Worker) -> Stage:
        return next(stage for stage in self if stage.worker is worker)

    def assign(
        self, recipe: str | None, overrides: Mapping[str, Any] | None = None, *, on_cpu: bool = False
    ) -> Assignment | contract.Missing:
        """How a recipe is carried out here and now, with some of its options replaced; decided anew after each
        `forget_assignments`."""
        key = (recipe, json.dumps(overrides, sort_keys=True) if overrides else "", on_cpu)
        if key not in self._assignments:
            try:
                self._assignments[key] = self._plan(recipe, overrides or {}, on_cpu)
            except ValidationError as error:  # config.toml has changed since they were found right
                self._assignments[key] = contract.Missing(why=f"The options beside it are not of this recipe: {error}.")
            except Exception as error:  # a processor's own code: its fault costs its own jobs a wait, nothing else
                log.exception("the recipe %s cannot be planned", recipe)
                self._assignments[key] = contract.Missing(why=f"Its processor is broken: {error!r}; see the log.")
        return self._assignments[key]

    def assign_job(self, job: Job) -> Assignment | contract.Missing:
        """How a job is carried out here and now: its recipe, with the options of its folder and beside it."""
        overrides, _ = self.overrides(job)
        return self.assign(job.recipe, overrides, on_cpu=job.is_for_cpu)

    def overrides(self, job: Job) -> tuple[dict[str, Any], dict[str, str]]:
        """The options of a job that are not its recipe's, and which file sets each."""
        recipe = self._settings.recipes.get(job.recipe or "")
        if recipe is None:
            return {}, {}
        known = type(recipe.recipe_options).model_fields
        of_folder = {name: value for name, value in self._settings.folder(job.folder).options.items() if name in known}
        beside = job.overrides.get("options", {})
        origins = dict.fromkeys(of_folder, "config.toml, options of the folder") | job.overrides.get("origins", {})
        return {**of_folder, **beside}, origins

    def forget_assignments(self) -> None:
        """Weights may have come, or gone."""
        self._assignments.clear()

    def origins(self, job: Job, options: contract.RecipeOptions) -> dict[str, str]:
        """Where each option of a job comes from, for its result."""
        recipe = self._settings.recipes.get(job.recipe or "")
        if recipe is None or not isinstance(options, type(recipe.recipe_options)):
            return dict(job.overrides.get("origins", {}))
        of_recipe = "built in" if recipe.is_built_in else f"config.toml, [recipes.{recipe.name}]"
        set_there = recipe.recipe_options.model_fields_set
        own = {name: of_recipe if name in set_there else "default" for name in type(options).model_fields}
        return own | self.overrides(job)[1]

    def _plan(self, name: str | None, overrides: Mapping[str, Any], on_cpu: bool) -> Assignment | contract.Missing:
        if name is None:
            return contract.Missing(why="No recipe is bound to files of this kind.")
        recipe = self._settings.recipes.get(name)
        if recipe is None:
            return contract.Missing(why=f"config.toml has no recipe {name!r} (any more): add it, or cancel the job.")
        options, held = options_of(recipe, overrides), recipe.options
        is_moved = on_cpu and "device" in type(held).model_fields  # config.toml may name another processor by now
        if is_moved:
            held = held.model_copy(update={"device": "cpu"})
        match recipe.cls.plan(held, options, self._settings.models):
            case contract.Missing() as missing:
                return missing
            case contract.Instead() as instead:
                stage = self._stage(instead.processor, self._settings.on(instead.processor))
                recipe_options = registry.find(instead.processor).Recipe(**instead.recipe)
                return Assignment(stage=stage, recipe_options=recipe_options, note=instead.why)
            case _:
                stage = self._stage(recipe.processor, held)
                return Assignment(stage=stage, recipe_options=options, note=_DONE_ON_CPU if is_moved else "")

    def _stage(self, processor: str, options: contract.Options, *, lane: str = "") -> Stage:
        key = (processor, repr(sorted(options.load_options().items())), lane)
        if key not in self._stages:
            needs = registry.find(processor).memory_needed(options, self._settings.models)
            self._stages[key] = Stage(
                processor=processor, options=options, batch_limit=options.max_batch, memory_bytes=needs
            )
        return self._stages[key]

    def park(self, stage: Stage, why: str) -> None:
        """Start nothing of this stage for a while; longer each time until it works again."""
        if stage.is_parked:
            return
        pause = self._settings.schedule.probe * 2 ** min(stage.parked_times, _PROBE_DOUBLINGS)
        log.error("%s waits, and is tried again in %g s: %s", stage.processor, pause, why)
        stage.parked_for, stage.parked_times = why, stage.parked_times + 1
        stage.parked_until = self._monotonic() + pause

    def unpark(self, *, at_once: bool) -> None:
        """Let the stages work again whose while is over; `at_once`: all."""
        for stage in self:
            if stage.parked_until is not None and (at_once or stage.parked_until <= self._monotonic()):
                stage.parked_until = None
