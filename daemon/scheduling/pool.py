"""A worker pool and its slots. A pool is a processor with the options that decide what its workers load; a slot is the
place of one worker of it, on one device.

What happens to one worker concerns only its slot, because devices differ. If the worker cannot work (missing weights,
an unavailable server), its slot is parked, each time for longer; if it runs out of memory, its slot gets smaller
batches.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from daemon.scheduling.devices import Demand, Device
from daemon.workers.supervisor import Worker, WorkerState
from processors import contract

log = logging.getLogger(__name__)

_NEWEST = 0.2  # weight of the latest job in the mean


@dataclass(kw_only=True)
class Pace:
    """The measured speed of a pool's workers, in seconds."""

    load: float | None = None  # from the start of a process until it has loaded; None: none has yet
    job: float | None = None  # between two outcomes of one busy worker, a moving average; None: there was none

    def note_job(self, seconds: float) -> None:
        self.job = seconds if self.job is None else self.job + _NEWEST * (seconds - self.job)


@dataclass(kw_only=True, eq=False)
class Slot:
    """The place of one worker. Times are of the monotonic clock."""

    pool: "Pool" = field(repr=False)
    devices: tuple[Device, ...]  # one; or all GPUs, for a model that is divided among them
    batch_limit: int  # at most `max_batch`; halved when a batch did not fit into memory
    worker: Worker | None = None
    idle_since: float = 0.0
    parked_until: float | None = None
    parked_for: str = ""
    parked_times: int = 0  # in a row
    storage_failures: int = 0  # in a row: outputs that could not be written

    def end_worker(self, now: float, why: str) -> None:
        """Let the worker exit after its current work."""
        if self.worker is not None:
            log.info("worker %d: ending %s %s", self.worker.number, self.pool.processor, why)
            self.worker.end(now)

    @property
    def memory_bytes(self) -> float:
        """What the worker needs of the memory of each of its devices."""
        return self.pool.memory_bytes / len(self.devices)

    @property
    def state(self) -> WorkerState | None:
        """The state of its worker; None: there is none."""
        return None if self.worker is None else self.worker.state

    @property
    def is_parked(self) -> bool:
        return self.parked_until is not None or self.is_lost

    @property
    def is_lost(self) -> bool:
        """True if its node is not in the cluster now."""
        return any(device.is_lost for device in self.devices)

    @property
    def why_parked(self) -> str:
        """What it waits for, if it is parked."""
        node = self.devices[0].node
        return f"The node {node.name} is not in the cluster." if node is not None and self.is_lost else self.parked_for

    def is_same_place(self, devices: tuple[Device, ...]) -> bool:
        """True if a worker may stay in the slot when its devices become `devices`: they are the same ones."""
        return [(each.name, each.uuid) for each in self.devices] == [(each.name, each.uuid) for each in devices] and (
            self.worker is None or [_node_id(each) for each in self.devices] == [_node_id(each) for each in devices]
        )

    @property
    def is_idle(self) -> bool:
        return self.state is WorkerState.IDLE

    @property
    def is_live(self) -> bool:
        """True if it has a worker that is not about to exit."""
        return self.worker is not None and self.worker.state is not WorkerState.ENDING

    @property
    def may_be_joined(self) -> bool:
        """True if its worker accepts further jobs while it is busy."""
        return self.worker is not None and self.worker.may_be_joined


@dataclass(kw_only=True, eq=False)
class Pool:
    """One processor with its load options."""

    processor: str
    options: contract.Options
    demand: Demand = field(default_factory=lambda: Demand(use=contract.GpuUse.NONE))
    memory_bytes: int = 0  # estimate of what each worker needs of the memory of its devices
    slots: tuple[Slot, ...] = ()
    pace: Pace = field(default_factory=Pace)
    may_spread: bool = True  # False: its workers compute on the CPU, although they were given a GPU
    is_retired: bool = False  # its options are no longer in force: its workers finish their jobs and end

    @classmethod
    def on(
        cls, places: tuple[tuple[Device, ...], ...], processor: str, options: contract.Options, memory_bytes: int
    ) -> "Pool":
        """A pool with a slot for each of `places`."""
        pool = cls(processor=processor, options=options, memory_bytes=memory_bytes)
        pool.slots = tuple(Slot(pool=pool, devices=devices, batch_limit=options.max_batch) for devices in places)
        return pool

    def take_over(self, new: "Pool") -> "Pool | None":
        """Adopt the options and limits of a pool that needs the same workers. Live workers keep their memory limit.
        Returns as `move_to`."""
        for slot in self.slots:
            if new.options.max_batch != self.options.max_batch:
                slot.batch_limit = new.options.max_batch
            if slot.worker is not None:
                slot.worker.timeout = new.options.timeout
        self.options = new.options
        return self.move_to(tuple(slot.devices for slot in new.slots))

    def move_to(self, places: tuple[tuple[Device, ...], ...]) -> "Pool | None":
        """Have a slot for each of `places` from now on; those that are the same stay, with their workers. Return a
        retired pool of the workers whose place is gone; None: there are none."""
        slots = []
        for devices in places:
            slot = next((slot for slot in self.slots if slot.is_same_place(devices)), None)
            if slot is None:
                slot = Slot(pool=self, devices=devices, batch_limit=self.options.max_batch)
            elif [_node_id(each) for each in slot.devices] != [_node_id(each) for each in devices]:
                slot.parked_until, slot.parked_times = None, 0  # the node has started again
            slot.devices = devices
            slots.append(slot)
        gone = tuple(slot for slot in self.slots if slot not in slots and slot.worker is not None)
        self.slots = tuple(slots)
        if not gone:
            return None
        retired = replace(self, slots=gone, is_retired=True)
        for slot in gone:
            slot.pool = retired
        return retired

    @property
    def live(self) -> Iterator[Slot]:
        """The slots with a worker that is not about to exit."""
        return (slot for slot in self.slots if slot.is_live)

    @property
    def has_worker(self) -> bool:
        return any(slot.worker is not None for slot in self.slots)

    @property
    def is_parked(self) -> bool:
        """True if none of its slots can work now."""
        return all(slot.is_parked for slot in self.slots)

    @property
    def parked_for(self) -> str:
        return next((slot.why_parked for slot in self.slots if slot.is_parked), "")


def _node_id(device: Device) -> str:
    return "" if device.node is None else device.node.id
