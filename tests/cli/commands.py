"""Runs `libelli` in this process, as a shell would, with a fake or no cluster behind it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from libelli.cli import run
from libelli.cli.connection import connect
from libelli.cli.settings import Invocation, Settings


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


class Shell:
    """Runs commands; `client` stands for the cluster that they reach."""

    def __init__(self, capture: pytest.CaptureFixture[str], client: Callable[[Settings], Any] = connect) -> None:
        self._capture = capture
        self._client = client

    def __call__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Ran:
        invocation = Invocation(connect=self._client, environment=environment or {})
        self._capture.readouterr()
        code = run(list(arguments), invocation=invocation)
        captured = self._capture.readouterr()
        return Ran(code, captured.out, captured.err)
