"""The worker pools, and which recipe goes to which. A pool is a processor with the options that decide what its worker
loads; it has at most one worker. One that cannot work (weights missing, a server unavailable) is parked for a while
that grows.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from pydantic import ValidationError

from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core.clock import Clock
from daemon.core.job import Job
from daemon.intake.overrides import options_of
from daemon.workers.supervisor import Worker, WorkerState
from processors import contract, registry

log = logging.getLogger(__name__)

_DONE_ON_CPU = "Done on the CPU, as it did not fit into the memory of the GPU."
_SHOWN_OF_STEP = {"recipe", "processor", "options", "recipe_options"}  # all that a step's result depends on
_PROBE_DOUBLINGS = 5  # the pause between two probes of a pool grows from `probe` to 32 times that


@dataclass(kw_only=True)
class Pool:
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
    memory_bytes: int = 0  # estimate of what its worker needs of the shared memory
    is_retired: bool = False  # its options are no longer in force: its worker finishes its jobs and ends

    def replace_options(self, options: contract.Options) -> None:
        """Take over options that need the same worker; a living one keeps its memory limit."""
        if options.max_batch != self.options.max_batch:
            self.batch_limit = options.max_batch
        if self.worker is not None:
            self.worker.timeout = options.timeout
        self.options = options

    def end_worker(self, now: float, why: str) -> None:
        """Let the pool's worker exit after its current work."""
        if self.worker is not None:
            log.info("worker %d: ending %s %s", self.worker.number, self.processor, why)
            self.worker.end(now)

    @property
    def is_parked(self) -> bool:
        return self.parked_until is not None

    @property
    def may_be_joined(self) -> bool:
        """True if its worker takes further jobs beside those it is busy with."""
        return self.worker is not None and self.worker.may_be_joined

    @property
    def is_idle(self) -> bool:
        return self.worker is not None and self.worker.state is WorkerState.IDLE


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The pool, the options and the note with which a recipe is currently run."""

    pool: Pool
    recipe_options: contract.RecipeOptions
    note: str  # why it is another processor than the recipe's, or the CPU; "" if it is the one in config.toml
    then: tuple[contract.Step, ...] = ()  # the recipes that follow

    def shown_options(self, origins: Mapping[str, str]) -> dict[str, object]:
        """The recipe's options that somebody set or that differ from the default, for result.json. origins: who set
        each."""
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


class Pools:
    """All pools that were needed so far. Called by the main thread only."""

    def __init__(self, settings: CurrentSettings, clock: Clock):
        self._current = settings
        self._clock = clock
        self._pools: dict[tuple[str, str, str], Pool] = {}  # by processor, load options and lane
        self._retired: list[Pool] = []  # with a worker still
        # by the arguments of `assign`
        self._assignments: dict[tuple[str | None, str, bool], Assignment | contract.NotReady] = {}

    def __iter__(self) -> Iterator[Pool]:
        return iter([*self._pools.values(), *self._retired])

    @property
    def _settings(self) -> Settings:
        return self._current.value

    def apply(self, settings: Settings) -> None:
        """Make the pools that new settings need. A pool that would load the same stays, with its worker; the others
        retire."""
        before, self._pools = self._pools, {}
        self.forget_assignments()
        for recipe in settings.recipes:
            self.assign(recipe)  # makes the pools that are needed now
        for key, pool in before.items():
            if key in self._pools:
                pool.replace_options(self._pools[key].options)
                self._pools[key] = pool
            else:
                pool.is_retired = True
                self._retired.append(pool)
        self.forget_assignments()  # to pools that were there before
        self.forget_retired()

    def forget_retired(self) -> None:
        """Drop the retired pools whose worker has exited."""
        self._retired = [pool for pool in self._retired if pool.worker is not None]

    def lane(self, pool: Pool) -> Pool:
        """A second pool of the same kind, for short jobs while the first is busy with long ones."""
        return self._pool(pool.processor, pool.options, lane="short")

    def of(self, worker: Worker) -> Pool:
        return next(pool for pool in self if pool.worker is worker)

    def assign(
        self, recipe: str | None, overrides: Mapping[str, object] | None = None, *, on_cpu: bool = False
    ) -> Assignment | contract.NotReady:
        """Decide how a recipe is carried out at present, with some of its options replaced. The decision holds until
        `forget_assignments`."""
        key = (recipe, json.dumps(overrides, sort_keys=True) if overrides else "", on_cpu)
        if key not in self._assignments:
            try:
                self._assignments[key] = self._plan(recipe, overrides or {}, on_cpu)
            except ValidationError as error:  # config.toml has changed since they were validated
                self._assignments[key] = contract.NotReady(
                    why=f"The options in the file's .toml do not fit this recipe: {error}."
                )
            except Exception as error:  # a processor's own code: an error delays only its own jobs
                log.exception("the recipe %s cannot be planned", recipe)
                self._assignments[key] = contract.NotReady(
                    why=f"Its processor failed to plan the recipe ({error!r}). See the log."
                )
        return self._assignments[key]

    def assign_job(self, job: Job) -> Assignment | contract.NotReady:
        """Decide how a job is carried out at present: by its recipe, with the options of its folder and beside it."""
        overrides, _ = self.overrides(job)
        return self.assign(job.recipe, overrides, on_cpu=job.is_for_cpu)

    def overrides(self, job: Job) -> tuple[dict[str, object], dict[str, str]]:
        """Return the options of a job that override its recipe's, and which file sets each."""
        recipe = self._settings.recipes.get(job.recipe or "")
        if recipe is None:
            return {}, {}
        known = type(recipe.recipe_options).model_fields
        of_folder = {name: value for name, value in self._settings.folder(job.folder).options.items() if name in known}
        beside = job.overrides.get("options", {})
        origins = dict.fromkeys(of_folder, "config.toml, options of the folder")
        return {**of_folder, **beside}, {**origins, **job.overrides.get("origins", {})}

    def forget_assignments(self) -> None:
        """Decide again from now on: weights may have been added or removed."""
        self._assignments.clear()

    def origins(self, job: Job, options: contract.RecipeOptions) -> dict[str, str]:
        """Return where each option of a job comes from that is not a default, for its result."""
        recipe = self._settings.recipes.get(job.recipe or "")
        if recipe is None or not isinstance(options, type(recipe.recipe_options)):
            return dict(job.overrides.get("origins", {}))
        of_recipe = "built in" if recipe.is_built_in else f"config.toml, [recipes.{recipe.name}]"
        set_there = recipe.recipe_options.model_fields_set
        return {name: of_recipe for name in type(options).model_fields if name in set_there} | self.overrides(job)[1]

    def _plan(self, name: str | None, overrides: Mapping[str, object], on_cpu: bool) -> Assignment | contract.NotReady:
        if name is None:
            return contract.NotReady(why="No recipe is assigned to files of this kind.")
        recipe = self._settings.recipes.get(name)
        if recipe is None:
            return contract.NotReady(why=f"config.toml has no recipe {name!r} (any more): add it, or cancel the job.")
        options, held = options_of(recipe, overrides), recipe.options
        is_moved = on_cpu and "device" in type(held).model_fields  # config.toml may name another processor by now
        if is_moved:
            held = held.model_copy(update={"device": "cpu"})
        then = tuple(self._step(each) for each in options.then)
        match recipe.cls.plan(held, options, self._settings.models):
            case contract.NotReady() as missing:
                return missing
            case contract.Substitute() as instead:
                pool = self._pool(instead.processor, self._settings.on(instead.processor), then=options.then)
                recipe_options = registry.find(instead.processor).Recipe.model_validate(
                    {**instead.recipe, "then": options.then}
                )
                return Assignment(pool=pool, recipe_options=recipe_options, note=instead.why, then=then)
            case _:
                pool = self._pool(recipe.processor, held, then=options.then)
                note = _DONE_ON_CPU if is_moved else ""
                return Assignment(pool=pool, recipe_options=options, note=note, then=then)

    def _step(self, name: str) -> contract.Step:
        """The recipe `name` as a step after another one."""
        recipe = self._settings.recipes.get(name)
        if recipe is None:
            why = f"config.toml has no recipe {name!r} (any more)."
            return contract.Step(
                recipe=name,
                processor="",
                options={},
                recipe_options={},
                python=None,
                timeout=0.0,
                wants_prompt=False,
                why_not=why,
            )
        plan = recipe.cls.plan(recipe.options, recipe.recipe_options, self._settings.models)
        return contract.Step(
            recipe=name,
            processor=recipe.processor,
            options=recipe.options.load_options(),
            recipe_options=recipe.recipe_options.model_dump(mode="json"),
            python=recipe.options.python,
            timeout=recipe.options.timeout,
            wants_prompt=recipe.cls.wants_prompt(recipe.recipe_options),
            why_not="" if isinstance(plan, contract.Runnable) else plan.why,
        )

    def _pool(self, processor: str, options: contract.Options, *, lane: str = "", then: Sequence[str] = ()) -> Pool:
        """The pool for these options; one of its own if the recipes in `then` need memory beside it."""
        following = [each for name in then if (each := self._settings.recipes.get(name))]
        loads = {
            (each.processor, repr(each.options.load_options())): needs
            for each in following
            if (needs := each.cls.memory_needed(each.options, self._settings.models))
        }
        loaded = [*sorted(options.load_options().items()), *sorted(loads)]
        key = (processor, repr(loaded), lane)
        if key not in self._pools:
            needs = registry.find(processor).memory_needed(options, self._settings.models) + sum(loads.values())
            self._pools[key] = Pool(
                processor=processor, options=options, batch_limit=options.max_batch, memory_bytes=needs
            )
        return self._pools[key]

    def park(self, pool: Pool, why: str) -> None:
        """Start nothing in this pool for a while. The pause doubles until the pool works again."""
        if pool.is_parked:
            return
        pause = self._settings.schedule.probe * 2 ** min(pool.parked_times, _PROBE_DOUBLINGS)
        log.error("%s is parked and will be probed in %g s: %s", pool.processor, pause, why)
        pool.parked_for, pool.parked_times = why, pool.parked_times + 1
        pool.parked_until = self._clock.monotonic() + pause

    def unpark(self, *, at_once: bool) -> None:
        """Let parked pools work again whose pause is over, or all `at_once`."""
        for pool in self:
            if pool.parked_until is not None and (at_once or pool.parked_until <= self._clock.monotonic()):
                pool.parked_until = None
