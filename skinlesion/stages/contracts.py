"""Names in files that one stage writes and another reads."""

from skinlesion.vocabulary import PROBABILITY_COLUMNS

#: Files in reports/runs/<experiment> and reports/ensembles/<ensemble>.
PREDICTIONS_NAME = "predictions.csv"
VALIDATION_NAME = "validation.csv"
METRICS_NAME = "metrics.json"
NOTES_NAME = "notes.json"
CONFUSION_NAME = "confusion.csv"
ROC_NAME = "roc.csv"
HISTORY_NAME = "history.csv"
MASKED_NAME = "masked.csv"

#: Test predictions with metadata hidden or exchanged; `shown` says which fields the model was told.
MASKED_COLUMNS = ("image_id", "fold", "seed", "shown", *PROBABILITY_COLUMNS)

#: Headline figures in reports/assessments/<system>, and in reports/metadata.
ASSESSMENT_NAME = "assessment.json"
METADATA_VALUE_NAME = "metadata.json"

#: Headline figures in reports/explanations/<experiment>.
EXPLANATION_NAME = "explanation.json"

#: Predictions of external data sets, one file each, and their figures, in reports/runs/<experiment>.
EXTERNAL_FOLDER = "external"
EXTERNAL_NAME = "external.json"
EXTERNAL_NOTES_NAME = "notes.json"

#: Files in reports/audit.
AUDIT_NAME = "audit.json"
AUDIT_PAGE_NAME = "audit.html"
PAIRS_NAME = "pairs.csv"
OVERLAP_NAME = "overlap.csv"
SHORTCUTS_NAME = "shortcuts.csv"
PAIR_COLUMNS = (
    "kind", "first", "second", "first_lesion", "second_lesion", "first_dx", "second_dx", "first_part", "second_part",
    "hash_distance", "cosine",
)  # fmt: skip
OVERLAP_COLUMNS = ("external", "image_id", "training_image_id", "reason", "hash_distance", "cosine")

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
