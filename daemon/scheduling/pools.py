"""All worker pools, which recipe goes to which, and on which devices each may have workers."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError

from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core.clock import Clock
from daemon.core.job import Job
from daemon.intake.overrides import options_of
from daemon.scheduling import cluster, devices
from daemon.scheduling.assignment import Assignment
from daemon.scheduling.cluster import Cluster
from daemon.scheduling.devices import Demand, Device
from daemon.scheduling.pool import Pool, Slot
from daemon.telemetry.gpu import Gpu
from daemon.workers.supervisor import Seat, Worker
from processors import contract, registry
from processors.cluster.nodes import Node

log = logging.getLogger(__name__)

_DONE_ON_CPU = "Processed on the CPU, because it did not fit into the GPU's memory."
_PROBE_DOUBLINGS = 5  # the pause between two probes of a slot grows from `probe` to 32 times that


class Pools:
    """All pools that were needed so far. Called by the main thread only."""

    def __init__(self, settings: CurrentSettings, clock: Clock, gpus: Sequence[Gpu] = ()):
        self._current = settings
        self._clock = clock
        self._gpus = gpus
        self.cluster = Cluster(address=settings.value.cluster.address)
        self.devices = self._choose_devices()
        self._pools: dict[tuple[str, str, str, str], Pool] = {}  # by processor, load options, demand and lane
        self._retired: list[Pool] = []  # retired pools that still have a worker
        # by the arguments of `assign`
        self._assignments: dict[tuple[str | None, str, bool], Assignment | contract.NotReady] = {}

    def __iter__(self) -> Iterator[Pool]:
        return iter([*self._pools.values(), *self._retired])

    @property
    def _settings(self) -> Settings:
        return self._current.value

    def _choose_devices(self) -> tuple[Device, ...]:
        tables, workers = self._settings.devices, self._settings.workers
        return (*devices.choose(tables, workers, self._gpus), *cluster.devices(self.cluster, tables, workers))

    def slots(self) -> Iterator[Slot]:
        """The slots of all pools."""
        return (slot for pool in self for slot in pool.slots)

    def seat(self, slot: Slot) -> Seat:
        """Where the worker of a slot computes."""
        return devices.seat(slot.devices, self.devices)

    def apply(self, settings: Settings) -> None:
        """Create the pools that new settings need. A pool that would load the same model stays, with its worker; the
        others retire."""
        if settings.cluster.address != self.cluster.address:
            self.cluster = Cluster(address=settings.cluster.address)
        before, self._pools = self._pools, {}
        self.devices = self._choose_devices()
        self.forget_assignments()
        for recipe in settings.recipes:
            self.assign(recipe)  # makes the pools that are needed now
        for key, pool in before.items():
            if key in self._pools:
                self._retire(pool.take_over(self._pools[key]))
                self._pools[key] = pool
            else:
                pool.is_retired = True
                self._retire(pool)
        self.forget_assignments()  # to pools that were there before
        self.forget_retired()

    def use_cluster(self, nodes: Sequence[Node], problem: str) -> None:
        """Have slots on the devices of the nodes that live now. Pools and their workers stay, but for the workers on
        nodes that are gone."""
        self.cluster = self.cluster.updated(nodes, problem, self._clock.monotonic())
        self.devices = self._choose_devices()
        self.forget_assignments()
        for pool in self._pools.values():
            if not isinstance(places := devices.places(self.devices, pool.demand), contract.NotReady):
                self._retire(pool.move_to(places))

    def _retire(self, pool: Pool | None) -> None:
        if pool is not None:
            self._retired.append(pool)

    def forget_retired(self) -> None:
        """Drop the retired pools whose workers have exited."""
        self._retired = [pool for pool in self._retired if pool.has_worker]

    def lane(self, pool: Pool) -> Pool:
        """A second pool of the same kind, for short jobs while the first is busy with long ones."""
        places = tuple(slot.devices for slot in pool.slots)
        loaded = pool.options.load_options()
        return self._make(pool.processor, pool.options, loaded, pool.demand, places, lane="short")

    def slot_of(self, worker: Worker) -> Slot:
        return next(slot for slot in self.slots() if slot.worker is worker)

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
        """Return the source of each option of a job that is not a default, for its result."""
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
            return contract.NotReady(why=f"config.toml has no recipe {name!r}: add it, or cancel the job.")
        options, held = options_of(recipe, overrides), recipe.options
        is_moved = on_cpu and "device" in type(held).model_fields  # config.toml may name another processor by now
        if is_moved:
            held = held.model_copy(update={"device": "cpu"})
        then = tuple(self._step(each) for each in options.then)
        match recipe.cls.plan(held, options, self._settings.models):
            case contract.NotReady() as missing:
                return missing
            case contract.Substitute() as instead:
                pool = self._pool(instead.processor, self._settings.on(instead.processor), options.then)
                if isinstance(pool, contract.NotReady):
                    return pool
                recipe_options = registry.find(instead.processor).Recipe.model_validate(
                    {**instead.recipe, "then": options.then}
                )
                return Assignment(pool=pool, recipe_options=recipe_options, note=instead.why, then=then)
            case _:
                pool = self._pool(recipe.processor, held, options.then)
                if isinstance(pool, contract.NotReady):
                    return pool
                note = _DONE_ON_CPU if is_moved else ""
                return Assignment(pool=pool, recipe_options=options, note=note, then=then)

    def _step(self, name: str) -> contract.Step:
        """The recipe `name` as a step after another one."""
        recipe = self._settings.recipes.get(name)
        if recipe is None:
            why = f"config.toml has no recipe {name!r}."
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

    def _pool(self, processor: str, options: contract.Options, then: Sequence[str]) -> Pool | contract.NotReady:
        """The pool for these options; a separate pool if the recipes in `then` need additional memory."""
        following = [each for name in then if (each := self._settings.recipes.get(name))]
        loads = {
            (each.processor, repr(each.options.load_options())): needs
            for each in following
            if (needs := each.cls.memory_needed(each.options, self._settings.models))
        }
        parts = [(registry.find(processor), options), *((each.cls, each.options) for each in following)]
        demand = devices.demand(parts)
        if self.cluster.is_awaited and self._is_of_cluster(demand):
            return contract.NotReady(why=self._why_awaited())
        places = devices.places(self.devices, demand)
        if isinstance(places, contract.NotReady):
            return places
        loaded = [*sorted(options.load_options().items()), *sorted(loads)]
        return self._make(processor, options, loaded, demand, places, also_needs=sum(loads.values()))

    def _is_of_cluster(self, demand: Demand) -> bool:
        """True if only the cluster may have the device that is needed."""
        if demand.is_bound or any(each.kind == "gpu" for each in self.devices):
            return False
        return demand.use is not contract.GpuUse.NONE or any(each.is_reserve for each in self.devices)

    def _why_awaited(self) -> str:
        """Why jobs wait for the cluster."""
        missing = "no node besides this machine has joined it." if self.cluster.was_seen else "it is being connected."
        return f"The Ray cluster ({self.cluster.address}) cannot be used yet: {self.cluster.problem or missing}"

    def _make(
        self,
        processor: str,
        options: contract.Options,
        loaded: object,
        demand: Demand,
        places: tuple[tuple[Device, ...], ...],
        *,
        also_needs: int = 0,
        lane: str = "",
    ) -> Pool:
        """The pool for what its workers have `loaded`, with a slot for each of the places."""
        key = (processor, repr(loaded), repr(demand), lane)
        if key not in self._pools:
            needs = registry.find(processor).memory_needed(options, self._settings.models) + also_needs
            self._pools[key] = Pool.on(places, processor, options, needs)
            self._pools[key].demand = demand
        return self._pools[key]

    def park(self, slot: Slot, why: str) -> None:
        """Start nothing in this slot for a while. The pause doubles until its worker works again."""
        if slot.is_parked:
            return
        pause = self._settings.schedule.probe * 2 ** min(slot.parked_times, _PROBE_DOUBLINGS)
        where = f" on {self.seat(slot).device}" if len(slot.pool.slots) > 1 else ""
        log.error("%s is parked%s and will be probed in %g s: %s", slot.pool.processor, where, pause, why)
        slot.parked_for, slot.parked_times = why, slot.parked_times + 1
        slot.parked_until = self._clock.monotonic() + pause

    def unpark(self, *, at_once: bool) -> None:
        """Let parked slots work again whose pause is over, or all `at_once`."""
        for slot in self.slots():
            if slot.parked_until is not None and (at_once or slot.parked_until <= self._clock.monotonic()):
                slot.parked_until = None
