"""Random lives of checkpoints, and of overlays over them, beside a twin that sorts a dict."""

import tempfile
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from hypothesis.strategies import booleans

from libelli.host.chunks import Rows
from libelli.stores.engine import Checkpoint, Install, View
from libelli.stores.overlay import Overlay
from tests.conformance.kept import KINDS
from tests.conformance.rows import TABLES, changes, contents, ends, keys, tables, values
from tests.conformance.twin import Twin, assert_same


class Life(RuleBasedStateMachine):
    """What both machines share: one kept checkpoint, what it must hold, and its ends."""

    kind = ""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self.kept = KINDS[self.kind](Path(self._directory.name))
        self.checkpoint: Checkpoint = self.kept.open()
        self.durable = Twin()

    def teardown(self) -> None:
        self.kept.close()
        self._directory.cleanup()


class CheckpointLife(Life):
    def __init__(self) -> None:
        super().__init__()
        self.views: list[tuple[View, Twin]] = []
        self.install: Install | None = None
        self.coming = Twin()

    @rule(runs=changes)
    def write(self, runs: list[Rows]) -> None:
        self.checkpoint.write(runs)
        self.durable.write(runs)

    @rule(table=tables, start=keys, end=ends, reverse=booleans())
    def scan(self, table: int, start: bytes, end: bytes | None, reverse: bool) -> None:
        expected = self.durable.scan(table, start=start, end=end, reverse=reverse)
        assert list(self.checkpoint.scan(table, start=start, end=end, reverse=reverse)) == expected
        assert self.checkpoint.get(table, start) == self.durable.get(table, start)

    @precondition(lambda self: len(self.views) < 3)
    @rule()
    def take_view(self) -> None:
        self.views.append((self.checkpoint.view(), self.durable.copy()))

    @precondition(lambda self: self.views)
    @rule()
    def close_view(self) -> None:
        view, twin = self.views.pop(0)
        assert_same(view, twin, TABLES)
        view.close()

    @rule(runs=contents)
    def begin_install(self, runs: list[Rows]) -> None:
        if self.install is not None:
            self.install.abandon()
        self.install = self.checkpoint.install()
        self.coming = Twin()
        self.install.add(runs)
        self.coming.write(runs)

    @precondition(lambda self: self.install is not None)
    @rule()
    def finish_install(self) -> None:
        assert self.install is not None
        self.install.finish()
        self.install, self.durable = None, self.coming

    @rule()
    def die(self) -> None:
        self.views, self.install = [], None
        self.kept.kill()
        self.checkpoint = self.kept.open()

    @invariant()
    def holds_what_was_written(self) -> None:
        assert_same(self.checkpoint, self.durable, TABLES)
        for view, twin in self.views:
            assert_same(view, twin, TABLES)


class OverlayLife(Life):
    def __init__(self) -> None:
        super().__init__()
        self.overlay = Overlay(self.checkpoint)
        self.now = Twin()
        self.frozen: tuple[Any, Twin] | None = None

    @rule(table=tables, key=keys, value=values)
    def put(self, table: int, key: bytes, value: bytes) -> None:
        self.overlay.put(table, key, value)
        self.now.write([Rows(table, [(key, value)])])

    @rule(table=tables, key=keys)
    def delete(self, table: int, key: bytes) -> None:
        self.overlay.delete(table, key)
        self.now.write([Rows(table, [(key, None)])])

    @rule(table=tables, start=keys, end=ends, reverse=booleans())
    def scan(self, table: int, start: bytes, end: bytes | None, reverse: bool) -> None:
        expected = self.now.scan(table, start=start, end=end, reverse=reverse)
        assert list(self.overlay.scan(table, start=start, end=end, reverse=reverse)) == expected
        assert self.overlay.get(table, start) == self.now.get(table, start)

    @precondition(lambda self: self.frozen is None)
    @rule()
    def freeze(self) -> None:
        runs = self.overlay.freeze()
        if runs:
            self.frozen = runs, self.now.copy()

    @precondition(lambda self: self.frozen is not None)
    @rule()
    def write_frozen(self) -> None:
        assert self.frozen is not None
        runs, self.durable = self.frozen
        self.checkpoint.write(runs)
        assert_same(self.overlay, self.now, TABLES)  # the frozen generation and the checkpoint both have it
        self.overlay.flushed()
        self.frozen = None

    @rule()
    def die(self) -> None:
        self.kept.kill()
        self.checkpoint = self.kept.open()
        self.overlay = Overlay(self.checkpoint)
        self.now, self.frozen = self.durable.copy(), None

    @invariant()
    def reads_its_own_writes(self) -> None:
        assert_same(self.overlay, self.now, TABLES)


def live(machine: type[Life], kind: str, *, seed: int, lives: int, steps: int) -> None:
    class OfKind(machine):  # type: ignore[valid-type, misc]
        pass

    OfKind.kind = kind
    hypothesis.seed(seed)(OfKind)
    run_state_machine_as_test(OfKind, settings=settings(max_examples=lives, stateful_step_count=steps))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_checkpoint_is_ordered_tables_through_writes_views_installations_and_kills(kind: str, seed: int) -> None:
    live(CheckpointLife, kind, seed=seed, lives=20, steps=15)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_overlay_is_ordered_tables_through_flushes_and_kills(kind: str, seed: int) -> None:
    live(OverlayLife, kind, seed=seed, lives=20, steps=25)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("machine", [CheckpointLife, OverlayLife])
def test_long_lives(machine: type[Life], kind: str, seed: int) -> None:
    live(machine, kind, seed=seed, lives=100, steps=50)
