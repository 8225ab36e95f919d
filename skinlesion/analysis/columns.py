"""Columns and method names of the comparison tables."""

#: Columns of reports/stats/comparisons.csv.
COMPARISON_COLUMNS = (
    "a", "b", "metric", "a_value", "b_value", "difference", "low", "high", "p", "p_adjusted", "method", "verdict",
)  # fmt: skip

#: The `method` of the rows that verdicts rest on, and of what they are shown beside.
BOOTSTRAP_METHOD = "paired bootstrap, clustered by lesion"
NAIVE_METHOD = "paired bootstrap, images taken as independent"
DELONG_METHOD = "clustered DeLong, mean over seeds"
PERMUTATION_METHOD = "permutation, swapped by lesion, mean over seeds"
FOLD_METHOD = "corrected resampled t-test over test folds (Nadeau & Bengio)"
MCNEMAR_METHODS = {
    "yang": "McNemar clustered by lesion (Yang), mean over seeds",
    "mid-p": "McNemar mid-p, images taken as independent, mean over seeds",
    "exact": "McNemar exact, images taken as independent, mean over seeds",
}

#: Columns of reports/stats/claims.csv.
CLAIM_COLUMNS = (
    "claim", "a", "b", "metric", "direction", "source", "images", "difference", "low", "high", "verdict", "answer",
)  # fmt: skip
