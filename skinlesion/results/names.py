"""File names in a workspace, each defined only here.

Folders are properties of `Workspace`; which command makes a file is known to `Results`.
"""

from skinlesion.vocabulary import PROBABILITY_COLUMNS

PARAMS_NAME = "params.yaml"

# beside it
CODE_NAME = "code.json"  # one hash per stage of the code it runs through

# data/splits, beside lesion.csv and image.csv
PUBLISHED_SPLITS_NAME = "published.csv"

# reports/
SPLIT_NAME = "split.json"
REPORT_PAGE_NAME = "report.html"
SUBGROUP_PAGE_NAME = "subgroups.html"
HEADLINE_NAME = "headline.md"
TABLE_NAME = "results"  # with the endings .md, .csv and .tex

# reports/runs/<experiment> and reports/ensembles/<ensemble>
PREDICTIONS_NAME = "predictions.csv"
VALIDATION_NAME = "validation.csv"
METRICS_NAME = "metrics.json"
NOTES_NAME = "notes.json"
CONFUSION_NAME = "confusion.csv"
ROC_NAME = "roc.csv"
HISTORY_NAME = "history.csv"
#: Test predictions with metadata hidden or exchanged; `shown` says which fields the model was told.
MASKED_NAME = "masked.csv"
MASKED_COLUMNS = ("image_id", "fold", "seed", "repeat", "shown", *PROBABILITY_COLUMNS)
#: Figures of external data sets, and the folder of their predictions (one file each) and notes.
EXTERNAL_NAME = "external.json"
EXTERNAL_FOLDER = "external"
EXTERNAL_NOTES_NAME = "notes.json"

# reports/assessments/<system>, with notes.json and one CSV per table
ASSESSMENT_NAME = "assessment.json"

# reports/metadata
METADATA_VALUE_NAME = "metadata.json"

# reports/effect
EFFECT_NAME = "effect"  # with the endings .csv and .json
LABEL_NOISE_NAME = "label_noise.csv"
EFFECT_PAGE_NAME = "metadata.md"

# reports/stats, with one CSV per table
STATISTICS_NAME = "stats.json"

# reports/explanations
EXPLANATION_NAME = "explanation.json"
MAPS_FOLDER = "maps"  # one folder per experiment: the two tables below, and pictures
MAP_SUMMARY_NAME = "summary.csv"
POINTING_NAME = "pointing.csv"

# reports/dataset
DATASET_PAGE_NAME = "dataset.html"

# reports/audit
AUDIT_NAME = "audit.json"
AUDIT_PAGE_NAME = "audit.html"
PAIRS_NAME = "pairs.csv"
PAIR_COLUMNS = (
    "kind", "first", "second", "first_lesion", "second_lesion", "first_dx", "second_dx", "first_part", "second_part",
    "hash_distance", "cosine",
)  # fmt: skip
OVERLAP_NAME = "overlap.csv"
OVERLAP_COLUMNS = ("external", "image_id", "training_image_id", "reason", "hash_distance", "cosine")
SHORTCUTS_NAME = "shortcuts.csv"

#: Columns that hold numbers or empty cells, in any table of reports/ that is read back.
NUMBERS = frozenset({
    "a_value", "as_labelled", "b_value", "balanced_accuracy", "balanced_accuracy_high", "balanced_accuracy_low",
    "cosine", "detectable", "difference", "fold", "gained", "gap", "gap_high", "gap_low", "hash_distance", "high",
    "high_adjusted", "images", "lesion", "lesions", "lost", "low", "low_adjusted", "macro_auc", "macro_auc_high",
    "macro_auc_low", "margin", "mean", "p", "p_adjusted", "rate", "rest", "runs", "same_sign", "seed", "seeds",
    "seeds_needed", "step", "train_accuracy", "train_loss", "twin_value", "undefined",
    "validation_balanced_accuracy", "validation_loss", "value",
})  # fmt: skip
#: Columns of words without which a row says nothing.
NEVER_EMPTY = frozenset({"a", "answer", "b", "claim", "dx", "experiment", "metric", "phase", "predictor", "question"})
