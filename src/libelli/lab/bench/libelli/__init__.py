"""Libelli under the benchmark: its replicas as `libelli up` makes them, its client as a program imports it."""
