"""Benchmark of skin-lesion classifiers on HAM10000: image only against image and metadata.

`compare`, `score`, `retest`, `load_predictions` and `bootstrap` are the Python interface; see `skinlesion.api`.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

#: Names of `skinlesion.api` that this package has too; imported when they are first used.
__all__ = ["bootstrap", "compare", "load_predictions", "retest", "score"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
