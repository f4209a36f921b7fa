"""PySyncObj as a rival: the Python library people would reach for, three processes with a journal each."""

from libelli.lab.bench.syncobj.target import SyncObjTarget

__all__ = ["SyncObjTarget"]
