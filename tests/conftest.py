"""What all tests share: the slow mark, one seed for everything random, and how a failure is replayed.

pytest                      the fast tests, always with the same examples
pytest --slow               all tests
pytest --seed 7             other examples: `seed` is 7 and Hypothesis starts from it
pytest --rewrite PATH       transcripts are rewritten instead of compared
"""

from collections.abc import Generator

import hypothesis
import pytest

DEFAULT_SEED = 20_160_612

hypothesis.settings.register_profile(
    "libelli",
    derandomize=True,  # same examples in every run; --seed asks for others
    database=None,  # nothing remembered from run to run
    deadline=None,  # real time is never asserted
    print_blob=True,
)
hypothesis.settings.load_profile("libelli")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption("--seed", type=int, default=None, help=f"seed of random tests (default: {DEFAULT_SEED})")
    parser.addoption("--rewrite", action="store_true", help="rewrite transcripts instead of comparing")


def seed_of(config: pytest.Config) -> int:
    chosen: int | None = config.getoption("--seed")
    return DEFAULT_SEED if chosen is None else chosen


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [
        f"seed: {seed_of(config)} (choose another with --seed)",
        "slow tests: " + ("included" if config.getoption("--slow") else "left out (make test-slow runs them)"),
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen: int | None = config.getoption("--seed")
    if not config.getoption("--slow") and "slow" not in config.getoption("-m"):
        leave_out(config, items, [item for item in items if item.get_closest_marker("slow")])
    for item in items:
        if chosen is not None and isinstance(item, pytest.Function) and is_hypothesis_test(item):
            hypothesis.seed(chosen)(getattr(item.obj, "__func__", item.obj))


def leave_out(config: pytest.Config, items: list[pytest.Item], some: list[pytest.Item]) -> None:
    """Takes tests out of a run; they are counted as deselected, so that a skipped test is always a flaw."""
    if some:
        config.hook.pytest_deselected(items=some)
        out = set(some)
        items[:] = [item for item in items if item not in out]


def is_hypothesis_test(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and hypothesis.is_hypothesis_test(item.obj)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    random_test = "seed" in getattr(item, "fixturenames", ()) or is_hypothesis_test(item)
    if report.failed and random_test:
        seed = seed_of(item.config)
        flag = "" if item.config.getoption("--seed") is None else f" --seed {seed}"
        slow = " --slow" if item.get_closest_marker("slow") else ""
        command = f".venv/bin/python -m pytest '{item.nodeid}'{flag}{slow}"
        report.sections.append((f"random test, seed {seed}", f"replay it with: {command}"))
    return report


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The run's seed, for `random.Random(seed)`; a failure prints it with the command that replays."""
    return seed_of(request.config)


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether transcripts are to be rewritten from what the commands say now."""
    return bool(request.config.getoption("--rewrite"))
