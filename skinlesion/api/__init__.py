"""The Python interface on predictions: files, DataFrames or arrays in, frozen dataclasses out.

    import skinlesion as sl

    result = sl.compare("image.csv", "concat.csv")
    print(result)

The functions are those of the command line, with its defaults: `compare`, `score`, `retest`, `load_predictions` and
`bootstrap`. None of them needs torch. A mistake raises `skinlesion.errors.UserError`.
"""

from skinlesion.api.comparison import Comparison, compare
from skinlesion.api.predictions import load_predictions
from skinlesion.api.resampling import Resampled, bootstrap
from skinlesion.api.retesting import Retested, retest
from skinlesion.api.scores import Scores, score

__all__ = [
    "Comparison",
    "Resampled",
    "Retested",
    "Scores",
    "bootstrap",
    "compare",
    "load_predictions",
    "retest",
    "score",
]
