"""What the configurations ask of a value."""

import os
from typing import Any


def require(condition: bool, message: str) -> None:
    """Raise `ValueError` with `message`, which names the dotted field, unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def require_probability(name: str, value: float) -> None:
    """Raise `ValueError` unless `value` lies in [0, 1]."""
    require(0 <= value <= 1, f"{name}={value}: a probability lies between 0 and 1")


def expand_home(config: Any, *names: str) -> None:
    """Replace `~` at the start of paths, or of lists of paths, in fields of a frozen dataclass."""
    expand = os.path.expanduser  # the home of an unknown user stays as it is written
    for name in names:
        value = getattr(config, name)
        expanded = [expand(path) for path in value] if isinstance(value, list) else value and expand(value)
        object.__setattr__(config, name, expanded)
