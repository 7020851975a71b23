"""A configuration as plain values, and back."""

import dataclasses
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from core.config import require
from core.config_checks import naming
from core.files import read_json

_C = TypeVar("_C")

RETIRED = frozenset({"demo_backbone"})
"""Fields of earlier versions that say nothing of a trained network: a stored configuration may hold them."""
RETIRED_VALUES: dict[str, tuple[Any, ...]] = {"resume": (False, True)}
"""Values of earlier versions that say nothing of a run: they stand for the default."""
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


def from_dict(default: _C, values: Mapping[str, Any], prefix: str = "") -> _C:
    """Return a configuration with its fields replaced by the nested dict that `to_dict` makes.

    What `values` lacks is as in `FORMER`, else as in `default`.

    Parameters
    ----------
    default
        A dataclass of settings.
    values
        Its fields, or some of them.
    prefix
        What stands before their names in messages.

    Raises
    ------
    ValueError
        If `values` has a field that `default` does not know, or a value of another type.
    """
    known = {f.name: getattr(default, f.name) for f in dataclasses.fields(default)}  # type: ignore[arg-type]
    require(
        isinstance(values, Mapping), f"{prefix.removesuffix('.')}={reprlib.repr(values)}: an object is needed"
    )
    values = {name: value for name, value in values.items() if name in known or name not in RETIRED}
    values = {name: value for name, value in values.items() if value not in RETIRED_VALUES.get(name, ())}
    unknown = sorted(set(values) - set(known))
    require(not unknown, f"{type(default).__name__} has no field {', '.join(unknown)}")
    replaced = {name: value for name, value in FORMER.items() if name in known}
    kinds = get_type_hints(type(default))
    for name, value in values.items():
        current = known[name]
        if dataclasses.is_dataclass(current) and not isinstance(current, type):
            replaced[name] = from_dict(current, value, f"{prefix}{name}.")
        else:
            replaced[name] = _with_tuples(value) if isinstance(current, tuple) else value
            require_types(prefix, replaced, {name: kinds[name]})
    return dataclasses.replace(default, **replaced)  # type: ignore[type-var]


def _with_tuples(value: Any) -> Any:
    """Return lists, at any depth, as tuples."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list | tuple) else value


def read_config(default: _C, file: Path) -> _C:
    """Return the configuration that a JSON file holds; see `from_dict`.

    Raises
    ------
    ValueError
        If it is none; the message names file and field.
    """
    content = read_json(file)
    with naming(file):
        return from_dict(default, content)


def require_types(prefix: str, values: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless the entries of `values` that are in `kinds` are of these types.

    Parameters
    ----------
    prefix
        What stands before the name of an entry in the message, such as `FILE: `.
    values
        Entries as JSON holds them; one that is missing is no mistake.
    kinds
        Name -> type of Python.

    Examples
    --------
    >>> require_types("a.json: ", {"runs": [1]}, {"runs": list[str]})
    Traceback (most recent call last):
    ValueError: a.json: runs=[1]: item 0 of list is not an instance of str
    """
    for name in (one for one in kinds if one in values):
        value = values[name]
        try:
            check_type(value, kinds[name], collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        except TypeCheckError as error:
            message = f"{prefix}{name}={reprlib.repr(value)}: {' '.join(str(error).split())}"
            raise ValueError(message) from error
