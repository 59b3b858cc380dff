"""The settings in force: validated and frozen. `loader` reads them from config.toml, `description` shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.config.hook import Hook
from daemon.config.schema import (
    ClusterTable,
    DeviceTable,
    MetricsTable,
    RetentionTable,
    RetryTable,
    ScheduleTable,
    WebTable,
    WorkersTable,
)
from daemon.config.values import Duplicates, Originals, ResultLayout, Unsupported
from processors import contract, registry
from processors.contract import Kind


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A processor, the options of the processor, and the options of the recipe."""

    name: str
    processor: str
    options: contract.Options  # of the processor, with what the recipe overrides
    recipe_options: contract.RecipeOptions
    is_built_in: bool = False

    @property
    def cls(self) -> type[contract.Processor]:
        return registry.find(self.processor)

    @property
    def kinds(self) -> frozenset[contract.Kind]:
        """The kinds of files that the recipe supports: of texts, only where its task can be about one."""
        kinds = self.cls.kinds
        return kinds if self.cls.takes_text(self.recipe_options) else kinds - {contract.Kind.TEXT}


def why_not_then(name: str, recipes: Mapping[str, Recipe]) -> str | None:
    """The reason why the recipe `name` cannot follow another one; None: it can."""
    recipe = recipes.get(name)
    if recipe is None:
        return "unknown recipe"
    if not recipe.cls.takes_text(recipe.recipe_options):
        return "it does not process texts"
    if recipe.recipe_options.then:
        return "it has a `then` of its own, so name its recipes here, too"
    return None


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The rules for one folder of the inbox."""

    recipes: Mapping[Kind, str]  # a kind without a recipe is absent
    priority: int
    originals: Originals
    layout: ResultLayout
    duplicates: Duplicates
    unsupported: Unsupported
    wait_for_done: bool
    wait_for_sidecar: float
    options: Mapping[str, object]  # for those recipes that have them


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in force."""

    source: Path | None  # the file that they come from; None: no file, all defaults
    inbox: Path
    outbox: Path
    state: Path
    models: Path  # downloaded weights
    layouts: Path  # remembered layouts of statements
    settle_seconds: float
    ignore: tuple[str, ...]  # patterns of names and paths in the inbox that are never taken
    folders: Mapping[str, Folder]  # by folder relative to the inbox; "" is the top
    recipes: Mapping[str, Recipe]
    processors: Mapping[str, contract.Options]
    retry: RetryTable
    workers: WorkersTable
    devices: Mapping[str, DeviceTable]  # by name
    cluster: ClusterTable
    schedule: ScheduleTable
    retention: RetentionTable
    hooks: tuple[Hook, ...]
    metrics: MetricsTable
    web: WebTable

    @property
    def database(self) -> Path:
        return self.state / "jobs.db"

    @property
    def textfile(self) -> Path | None:
        """The file to write the metrics to; None: none."""
        home = self.source.resolve().parent if self.source else Path.cwd()
        return home / self.metrics.textfile if self.metrics.textfile else None

    @property
    def totals(self) -> Path:
        return self.state / "totals.json"

    @property
    def socket(self) -> Path:
        return self.state / "inboxd.sock"

    @property
    def token_file(self) -> Path | None:
        """The file with the token of the cluster; None: Ray's own settings apply."""
        home = self.source.resolve().parent if self.source else Path.cwd()
        return home / self.cluster.token_file if self.cluster.token_file else None

    @property
    def web_token(self) -> Path:
        return self.state / "web-token"

    def folder(self, name: str) -> Folder:
        """The rules for the inbox folder `name` ("bank/2024"): its own table's, or those of the nearest above it."""
        while name:
            if found := self.folders.get(name):
                return found
            name = name.rpartition("/")[0]
        return self.folders[""]

    def on(self, processor: str) -> contract.Options:
        """The options of a processor; the defaults if config.toml has no table for it."""
        return self.processors.get(processor) or registry.find(processor).Options()
