"""Libelli: a geo-replicated key/value store whose replicas are pure state machines.

Source: none; this is the root of the package.
"""

__version__ = "0.1.0"
