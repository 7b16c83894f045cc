"""How the final networks learn, each in a module of this package with its name."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from irn.networks.base import FineTuned
from irn.records import ImageRecord
from irn.training.targets import Targets
from irn.training.task import Objective
from irn.training.views import Sample, SampleId


class Teaching(Protocol):
    """What the module of a final network offers; `section` are the network's settings.

    make_network: a network with random values, for a backbone of this name and a number of classes.
    make_view: what it sees of an image in an epoch, with its targets.
    OBJECTIVE: what it minimises.
    """

    @property
    def OBJECTIVE(self) -> Objective: ...

    def make_network(self, section: Any, backbone: str, classes: int, from_scratch: bool) -> FineTuned: ...

    def make_view(
        self, section: Any, records: Sequence[ImageRecord], targets: Targets, seed: int
    ) -> Callable[[SampleId], Sample]: ...


def teaching_of(name: str) -> Teaching:
    """The module of the final network of a name."""
    return cast(Teaching, import_module(f"irn.training.{name}"))
