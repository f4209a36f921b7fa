"""etcd as a rival: three members of Debian's `etcd-server`, default settings, on loopback.

The generator is our own minimal HTTP/2 client (`calls`), because a Python gRPC client would take the processor
time that etcd needs. That it is not the limit is measured in the same run: two generators must not beat one.
"""

from libelli.lab.bench.etcd.target import EtcdTarget

__all__ = ["EtcdTarget"]
