"""Print the configuration, or the schema of all configurations."""

import json
from collections.abc import Sequence
from pathlib import Path

from irn.settings.reading import read_config
from irn.settings.settings import Settings
from irn.settings.writing import as_yaml


def config(configfile: Sequence[Path] = (), json_schema: bool = False) -> None:
    """Print every setting with its meaning and its value in the files, as YAML, or the JSON schema instead."""
    if json_schema:
        print(json.dumps(Settings.model_json_schema(), indent=1), end="")
    else:
        print(as_yaml(read_config(configfile)), end="")
