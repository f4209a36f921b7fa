"""The gRPC door of a node.

::

    gRPC client ──mutual TLS──► Strong, Cluster ──► AsyncClient ──► the leader, wherever it is
                                 (this process)      (finds it, repeats what is safe)

So every node serves every call. `libelli.proto` says what can be asked and how a call ends.
"""

from libelli.api.grpc.door import GrpcDoor, serve_grpc

__all__ = ["GrpcDoor", "serve_grpc"]
