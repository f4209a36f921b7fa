"""Keys and values between the shell and the store: arguments to bytes, bytes to what a terminal may show.

An argument is taken as the bytes that the shell handed over, so a key need not be UTF-8. Bytes that no
argument can hold (NUL) are written with `--hex`.
"""

import os
from dataclasses import dataclass

from libelli.cli.usage import UsageError
from libelli.stores.mvcc.commands import FROM_KEY


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys as commands write them: `end` empty is the single key, `FROM_KEY` everything from `key` on."""

    key: bytes
    end: bytes = b""


EVERYTHING = KeyRange(FROM_KEY, FROM_KEY)


def key_bytes(argument: str, *, as_hex: bool = False) -> bytes:
    """Returns the key that `argument` names; it may be empty, which the store refuses for single keys.

    Raises:
        UsageError: `as_hex`, and the argument is not hexadecimal.
    """
    if not as_hex:
        return os.fsencode(argument)
    try:
        return bytes.fromhex(argument)
    except ValueError:
        raise UsageError(f"key {argument!r} is not hexadecimal: write two digits a byte, such as 00ff") from None


def prefix_end(prefix: bytes) -> bytes:
    """Returns the end of the range of all keys that begin with `prefix`."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else FROM_KEY


def prefix_range(prefix: bytes) -> KeyRange:
    """Returns the range of all keys that begin with `prefix`; an empty one means every key."""
    return KeyRange(prefix, prefix_end(prefix)) if prefix else EVERYTHING


def shown(data: bytes) -> str:
    """Returns `data` as one line of text: what is not printable UTF-8 is escaped as in a Python literal.

    Escaping keeps a stored value from steering the terminal that shows it.
    """
    text = data.decode("utf-8", errors="backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def chosen_range(
    argument: str, *, prefix: bool, to: str | None = None, from_key: bool = False, as_hex: bool = False
) -> KeyRange:
    """Returns the keys that a command's arguments name.

    Args:
        argument: a key, or the beginning of keys.
        prefix: every key that begins with `argument`, unless `to` or `from_key` say otherwise.
        to: the end, which is not part of the range.
        from_key: every key from `argument` on.
        as_hex: keys are hexadecimal.

    Raises:
        UsageError: the arguments contradict each other.
    """
    key = key_bytes(argument, as_hex=as_hex)
    if to is not None:
        if from_key:
            raise UsageError("--to and --from-key both say where the range ends: give one of them")
        end = key_bytes(to, as_hex=as_hex)
        if end <= key:
            raise UsageError(f"--to {to!r} does not come after {argument!r}: the range would be empty")
        return KeyRange(key or FROM_KEY, end)
    if from_key:
        return KeyRange(key or FROM_KEY, FROM_KEY)
    return prefix_range(key) if prefix else KeyRange(key)
