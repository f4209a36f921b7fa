"""What a node does around its replicas: groups, routing, batching, apply, the bytes of the log."""
