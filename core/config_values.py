"""A configuration as plain values, and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from core.config import require

_C = TypeVar("_C")

RETIRED = frozenset({"demo_backbone"})
"""Fields of earlier versions that say nothing of a trained network: a stored configuration may hold them."""
FORMER: dict[str, Any] = {"unrated": "lowest"}
"""What a stored configuration means that is older than a field, where it is not the field's default now."""


def to_dict(config: Any) -> dict[str, Any]:
    """Return a nested dict of plain values that JSON can hold."""
    return dataclasses.asdict(config)


def flatten(config: Any) -> dict[str, Any]:
    """Return `{"data.root": ..., "mixup.alpha": ...}`, the form that W&B shows and sweeps set."""

    def walk(prefix: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            return {prefix: value}
        flat: dict[str, Any] = {}
        for key, child in value.items():
            flat |= walk(f"{prefix}.{key}" if prefix else key, child)
        return flat

    return walk("", config if isinstance(config, Mapping) else to_dict(config))


def from_dict(default: _C, values: Mapping[str, Any]) -> _C:
    """Return a configuration with its fields replaced by the nested dict that `to_dict` makes.

    What `values` lacks is as in `FORMER`, else as in `default`.

    Raises
    ------
    ValueError
        If `values` has a field that `default` does not know.
    """
    known = {f.name: getattr(default, f.name) for f in dataclasses.fields(default)}  # type: ignore[arg-type]
    values = {name: value for name, value in values.items() if name in known or name not in RETIRED}
    unknown = sorted(set(values) - set(known))
    require(not unknown, f"{type(default).__name__} has no field {', '.join(unknown)}")
    replaced = {name: value for name, value in FORMER.items() if name in known}
    for name, value in values.items():
        current = known[name]
        if dataclasses.is_dataclass(current) and not isinstance(current, type):
            replaced[name] = from_dict(current, value)
        else:
            replaced[name] = tuple(value) if isinstance(current, tuple) else value
    return dataclasses.replace(default, **replaced)  # type: ignore[type-var]
