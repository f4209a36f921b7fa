r"""What a process does to the files under one directory, as its system calls say it, in their order.

strace writes every string as \x.. (-xx) and none is cut (-s), so a line is split at commas and quotes alone.
The process has one thread; a line is one call, whole.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "openat,open,creat,close,lseek,pwrite64,pwritev,pwritev2,write,writev,fdatasync,fsync,sync_file_range,msync,"
    "ftruncate,truncate,fallocate,rename,renameat,renameat2,link,unlink,unlinkat,mkdir,rmdir,mmap,dup,dup2,dup3"
)
_LINE = re.compile(r"(\w+)\((.*)\)\s+= (-?\w+)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
DEADLINE_S = 120


@dataclass(frozen=True)
class Made:
    """A file or a directory got a name."""

    path: str
    is_directory: bool = False


@dataclass(frozen=True)
class Written:
    """Bytes were written; synced with the call itself when the file was opened so."""

    path: str
    offset: int
    data: bytes
    is_synced: bool


@dataclass(frozen=True)
class Resized:
    """A file's size was set."""

    path: str
    size: int


@dataclass(frozen=True)
class Synced:
    """A file's bytes, or a directory's names, were made durable."""

    path: str


@dataclass(frozen=True)
class Renamed:
    """A file has another name."""

    old: str
    new: str


@dataclass(frozen=True)
class Removed:
    """A name is gone."""

    path: str


@dataclass(frozen=True)
class Said:
    """The process wrote a line for us."""

    line: str


Operation = Made | Written | Resized | Synced | Renamed | Removed | Said


@dataclass
class _Opened:
    path: str
    is_synced: bool
    offset: int = 0


def why_no_strace() -> str:
    """Returns why calls cannot be recorded here, or an empty string."""
    if shutil.which("strace") is None:
        return "strace is missing: install the package strace (make setup does it as root)"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()}"


def record(command: Sequence[str], directory: Path, output: Path) -> list[Operation]:
    """Runs a command and returns what it did under `directory`."""
    strace = ["strace", "-xx", "-s", str(1 << 24), "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(output)]
    subprocess.run([*strace, *command], check=True, timeout=DEADLINE_S, stdout=subprocess.DEVNULL)
    with output.open() as lines:
        return list(_Reading(directory).operations(lines))


class _Reading:
    """Follows descriptors, to know what each call is about."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._opened: dict[int, _Opened] = {}
        self._paths: set[str] = set()

    def operations(self, lines: Iterator[str]) -> Iterator[Operation]:
        for line in lines:
            match = _LINE.match(line)
            if match and not match[3].startswith("-"):
                yield from self._call(match[1], match[2], int(match[3], 0))

    def _call(self, name: str, text: str, result: int) -> Iterator[Operation]:
        arguments = text.split(", ")
        strings = [bytes.fromhex(found.replace("\\x", "")) for found in _STRING.findall(text)]
        if name in ("openat", "open", "creat", "mkdir", "rename", "unlink", "truncate", "renameat", "unlinkat"):
            paths = [string.decode() for string in strings]
            if paths and all(self._is_ours(path) for path in paths):
                yield from self._by_path(name, paths, text, result)
            return
        opened = self._opened.get(int(arguments[4] if name == "mmap" else arguments[0], 0)) if arguments[0] else None
        if name in ("write", "writev") and opened is None and arguments[0] == "1":
            yield Said(b"".join(strings).decode().strip())
        elif opened is not None:
            yield from self._by_descriptor(name, opened, arguments, b"".join(strings), result)

    def _by_path(self, name: str, paths: list[str], text: str, result: int) -> Iterator[Operation]:
        path = paths[0]
        match name:
            case "openat" | "open":
                if "O_CREAT" in text and path not in self._paths:
                    self._paths.add(path)
                    yield Made(path)
                self._opened[result] = _Opened(path, "SYNC" in text)
            case "mkdir":
                self._paths.add(path)
                yield Made(path, is_directory=True)
            case "rename":
                self._paths.discard(path)
                self._paths.add(paths[1])
                for opened in self._opened.values():
                    if opened.path == path:
                        opened.path = paths[1]
                yield Renamed(path, paths[1])
            case "unlink":
                self._paths.discard(path)
                yield Removed(path)
            case "truncate":
                yield Resized(path, int(text.split(", ")[1]))
            case _:
                raise AssertionError(f"the record cannot tell what {name} does")

    def _by_descriptor(
        self, name: str, opened: _Opened, arguments: list[str], data: bytes, result: int
    ) -> Iterator[Operation]:
        match name:
            case "close":
                self._opened.pop(int(arguments[0]))
            case "lseek":
                opened.offset = result
            case "pwrite64":
                yield Written(opened.path, int(arguments[-1], 0), data[:result], opened.is_synced)
            case "pwritev":
                yield Written(opened.path, int(arguments[-1], 0), data[:result], opened.is_synced)
            case "write" | "writev":
                yield Written(opened.path, opened.offset, data[:result], opened.is_synced)
                opened.offset += result
            case "fdatasync" | "fsync":
                yield Synced(opened.path)
            case "ftruncate":
                yield Resized(opened.path, int(arguments[1], 0))
            case "mmap":
                assert opened.path.endswith("-lock") or "PROT_WRITE" not in arguments[2], (
                    f"{opened.path}: unseen writes"
                )
            case _:
                raise AssertionError(f"the record cannot tell what {name} does")

    def _is_ours(self, path: str) -> bool:
        return path.startswith(f"{self._directory}/") or path == self._directory
