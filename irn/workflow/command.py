"""What a command and a stage of the workflow are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from irn.settings.final_networks import FinalNetwork
from irn.settings.settings import Settings
from irn.workflow.options import PROCESSES, Option
from irn.workflow.resources import RESOURCES, Resources


@dataclass(frozen=True, eq=False)
class Command:
    """A command: its name, which its module in irn/commands/ and its function have too, its help, and its options.

    group: the heading under which `irn --help` lists it.
    network: what it trains, if that is a final network; one module does it for all of them.
    """

    name: str
    help: str
    takes: tuple[Option, ...]
    group: str = ""
    network: FinalNetwork | None = None

    @property
    def command(self) -> str:
        """Its name in Python, as in keys and settings."""
        return self.name

    @property
    def function(self) -> str:
        """The name of its function and of the module in irn/commands/ that holds it."""
        return "train_final_network" if self.network else self.command

    def modules(self, settings: Settings | None) -> tuple[str, ...]:
        """The modules that decide what it makes, with all that they import."""
        return (f"irn.commands.{self.function}",)

    @property
    def words(self) -> str:
        """Its name on the command line."""
        return self.command.replace("_", "-")

    def has(self, option: Option) -> bool:
        """Whether it takes an option, or can do without it."""
        return any(taken.flag == option.flag for taken in self.takes)


class Splits(NamedTuple):
    """The splits that a stage works on, joined by `+`, by the name that they have in the record of its key."""

    name: str
    of: Callable[[Settings], str]


@dataclass(frozen=True, eq=False)
class Stage(Command):
    """A command that the workflow runs. Its rule has its name.

    reads: the stages whose files it reads, if a configuration has them.
    does_without: those of them that it does not read with some settings.
    makes: its files, in a folder of its own in the store.
    cache: the kind of cache (irn/io/cache_format.py) that it makes instead, a file for each split and shard.
    last: the file that appears last in a folder that grows in its place.
    splits: the splits that it works on as a whole.
    when: whether a configuration has it.
    needs: the settings that a configuration without it lacks, in words.
    uses_truth: whether it reads the masks of the data set in a configuration; then they are part of its key.
    on_request: whether it runs only when its rule is asked for by name, in the run's own configuration.
    runs: its command, if that has another name.
    loads: modules that its command imports by a name that depends on the settings; their code is part of its key.
    """

    reads: "tuple[Stage, ...]" = ()
    does_without: "Callable[[Settings], tuple[Stage, ...]]" = lambda settings: ()
    makes: tuple[str, ...] = ()
    cache: str = ""
    last: str = ""
    splits: Splits | None = None
    when: Callable[[Settings], bool] = lambda settings: True
    needs: str = ""
    uses_truth: Callable[[Settings], bool] = lambda settings: False
    on_request: bool = False
    runs: str = ""
    loads: Callable[[Settings], tuple[str, ...]] = lambda settings: ()

    @property
    def command(self) -> str:
        """The name of its command."""
        return self.runs or self.name

    def modules(self, settings: Settings | None) -> tuple[str, ...]:
        """Those of its command, and those that it loads."""
        return (*super().modules(settings), *(self.loads(settings) if settings else ()))

    @property
    def resources(self) -> Resources:
        """What its jobs need of a machine."""
        return RESOURCES.get(self.name) or RESOURCES.get(self.function) or Resources()

    @property
    def per_image(self) -> bool:
        """Whether it makes a cache for each split and shard."""
        return bool(self.cache)

    @property
    def shares_batches(self) -> bool:
        """Whether several processes, each with a GPU, can compute it together."""
        return self.has(PROCESSES)
