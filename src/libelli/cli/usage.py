"""A command line that can be parsed but not obeyed."""

from libelli.core.errors import LibelliError


class UsageError(LibelliError):
    """Options or arguments that contradict each other or cannot be read; the message says what to write."""
