"""Columns and method names of the comparison tables."""

#: Columns of reports/stats/comparisons.csv. `low, high` are the interval of the row by itself; `low_adjusted,
#: high_adjusted` allow for the family of comparisons and agree with `p_adjusted` and `verdict`. `undefined` counts
#: bootstrap replicates without a value; `caution` says where interval and test are known to miss their level.
COMPARISON_COLUMNS = (
    "a", "b", "metric", "a_value", "b_value", "difference", "low", "high", "p", "method", "about", "undefined",
    "caution", "family", "adjustment", "p_adjusted", "low_adjusted", "high_adjusted", "margin", "verdict",
)  # fmt: skip

#: The columns that only judged rows have: one row per pair and metric.
JUDGED_COLUMNS = ("family", "adjustment", "p_adjusted", "low_adjusted", "high_adjusted", "margin", "verdict")

#: The `method` of rows.
RECIPE_METHOD = "t interval over lesions and trainings"
LINEAR_METHOD = "t interval over lesions (influence functions)"
NAIVE_METHOD = "the same, images taken as independent"
BOOTSTRAP_METHOD = "paired percentile bootstrap over lesions"
PERMUTATION_METHOD = "permutation, swapped by lesion"
FOLD_METHOD = "corrected resampled t-test over test folds (Nadeau & Bengio)"
MCNEMAR_METHODS = {
    "clustered": "McNemar clustered by lesion",
    "naive": "McNemar, images taken as independent",
}

#: What a row is `about`.
RECIPE = "training these recipes again"
TRAINED = "these trained models"

#: The `family` of a judged row: the claims of params.yaml, or everything else.
CONFIRMATORY, EXPLORATORY = "confirmatory", "exploratory"

#: What a verdict begins with where none is possible; the reason follows.
NO_VERDICT = "no verdict"

#: Columns of reports/stats/claims.csv.
CLAIM_COLUMNS = (
    "claim", "a", "b", "metric", "direction", "source", "images", "difference", "low", "high", "p", "about",
    "caution", "adjustment", "p_adjusted", "low_adjusted", "high_adjusted", "margin", "verdict", "answer",
)  # fmt: skip
