"""Names in files that one stage writes and another reads."""

#: Columns of reports/stats/comparisons.csv.
COMPARISON_COLUMNS = (
    "a", "b", "metric", "a_value", "b_value", "difference", "low", "high", "p", "p_adjusted", "method", "verdict",
)  # fmt: skip

#: The `method` of the rows that verdicts rest on.
BOOTSTRAP_METHOD = "paired bootstrap, clustered by lesion"
