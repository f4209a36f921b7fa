"""The real world: one process a replica, with its disk, its streams and its clock."""
