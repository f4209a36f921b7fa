"""The store of a strong collection: etcd's model, over ordered tables (see `store`, then `tables`)."""

from libelli.stores.mvcc.history import Page
from libelli.stores.mvcc.store import Store

__all__ = ["Page", "Store"]
