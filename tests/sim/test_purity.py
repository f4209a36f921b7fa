"""The simulator owns its dice, and nothing else of the real world: no clock, thread, loop, socket or file."""

from tests.tidy.sources import source_modules
from tests.tidy.test_pure_imports import impure_code, impure_imports

DICE = "imports 'random'"


def test_the_simulator_knows_no_real_time_and_no_real_disk() -> None:
    modules = [module for module in source_modules() if module.package == "sim"]
    flaws = [flaw for module in modules for flaw in (*impure_imports(module), *impure_code(module))]
    assert len(modules) > 8
    assert [flaw for flaw in flaws if DICE not in flaw] == []
