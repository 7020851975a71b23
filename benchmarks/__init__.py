"""Measurements that a reader can run; each prints a table, the machine and the versions."""

import core  # noqa: F401  before torch is loaded: see core.machine.wait_passively
