"""The simulated world: virtual time, a network, disks and processes that run the real nodes and clients."""
