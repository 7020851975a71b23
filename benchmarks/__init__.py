"""Measurements that a reader can run; each prints a table, the machine and the versions."""
