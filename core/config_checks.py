"""What the configurations ask of a value."""


def require(condition: bool, message: str) -> None:
    """Raise `ValueError` with `message`, which names the dotted field, unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def require_probability(name: str, value: float) -> None:
    """Raise `ValueError` unless `value` lies in [0, 1]."""
    require(0 <= value <= 1, f"{name}={value}: a probability lies between 0 and 1")
