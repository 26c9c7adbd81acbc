"""The load generator (generator.pyx), compiled into build/bench/ on first use."""

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

from tests import extensions

HERE = Path(__file__).resolve().parent
BUILT = extensions.CHECKOUT / "build" / "bench"
NAME = "tests.bench.generator"


def generator() -> Any:
    """The module whose manual is generator.pyi. NotBuilt: no compiler, or it refuses."""
    source, suffix = HERE / "generator.pyx", sysconfig.get_config_var("EXT_SUFFIX")
    extensions.once(BUILT, [source, *sorted(HERE.glob("*.pxd"))], lambda: extensions.cythonize({NAME: source}, BUILT))
    spec = importlib.util.spec_from_file_location(NAME, BUILT.joinpath(*NAME.split(".")).with_suffix(suffix))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
