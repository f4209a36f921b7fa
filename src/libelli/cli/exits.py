"""The exit codes of `libelli`; docs/commands.md prints the same table and a test compares them."""

from enum import IntEnum

from libelli.cli.usage import UsageError
from libelli.core.errors import (
    CodecError,
    ConfigurationError,
    DidNotHappen,
    LibelliError,
    MayHaveHappened,
    Refused,
    StorageError,
)


class ExitCode(IntEnum):
    """How a command ended; scripts branch on it."""

    OK = 0
    """Done."""
    REFUSED = 1
    """Nothing was changed, and the same request will be refused again: no such key, over a limit, …"""
    USAGE = 2
    """The command line cannot be read."""
    DID_NOT_HAPPEN = 3
    """Nothing was changed; the same request may pass later: no leader, not connected, overloaded."""
    MAY_HAVE_HAPPENED = 4
    """The outcome is unknown: a timeout, or a lost connection or leader. Look before repeating."""
    CONFIGURATION = 5
    """Files, addresses or certificates cannot work as they are; or no cluster was found."""
    STORAGE = 6
    """A file or disk cannot be used: damaged, foreign, full, or not readable."""
    DEFECT = 70
    """Libelli broke a promise of its own; please report it with the output of `--traceback`."""
    INTERRUPTED = 130
    """Ctrl-C."""
    BROKEN_PIPE = 141
    """Whoever read the output has gone."""


_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (UsageError, ExitCode.USAGE),
    (Refused, ExitCode.REFUSED),
    (DidNotHappen, ExitCode.DID_NOT_HAPPEN),
    (MayHaveHappened, ExitCode.MAY_HAVE_HAPPENED),
    (ConfigurationError, ExitCode.CONFIGURATION),
    (StorageError, ExitCode.STORAGE),
    (CodecError, ExitCode.STORAGE),
    (BrokenPipeError, ExitCode.BROKEN_PIPE),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (LibelliError, ExitCode.DEFECT),
    (OSError, ExitCode.STORAGE),
)
"""The first type that fits decides."""


def exit_code_of(error: BaseException) -> ExitCode:
    """Returns the exit code that `error` ends a command with."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.DEFECT)
