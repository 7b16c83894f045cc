"""Whether what a configuration names is installed: a backbone of timm, and pydensecrf. Neither is imported."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from irn.errors import IrnError, did_you_mean_network

_NETWORK = re.compile(r"^@register_model\s+def (\w+)\(", re.M)


def check_packages(backbone: str, crf: str) -> None:
    """Raise IrnError for a backbone that timm does not have, and for `pydensecrf` where it is not installed."""
    known = _networks_of_timm()
    # torchvision's ResNets have names of timm's too.
    if known and backbone not in known:
        hint = did_you_mean_network(backbone, known)
        raise IrnError(f"config: backbone is {backbone!r}, a network that neither torchvision nor timm has; {hint}")
    if crf == "pydensecrf" and find_spec("pydensecrf") is None:
        raise IrnError(
            "config: ir_labels.crf is 'pydensecrf', a package that is not installed; pip install -r"
            " requirements-crf.txt, or write ir_labels: {crf: numba}"
        )


@cache
def _networks_of_timm() -> list[str]:
    """The names in timm's files, which takes a hundredth of the time of importing it."""
    spec = find_spec("timm")
    files = sorted(Path(str(spec.origin)).parent.glob("models/*.py")) if spec else []
    return sorted(name for file in files for name in _NETWORK.findall(file.read_text(encoding="utf-8")))
