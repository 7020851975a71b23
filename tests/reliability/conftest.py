"""Two tiny runs that tests of faults share with those of inference."""

from tests.core.inference.conftest import trained

__all__ = ["trained"]
