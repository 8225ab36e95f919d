"""The names that params.yaml and the command line let a user choose from, each list written once, and shared bounds.

The schema in `skinlesion.params`, the help of commands and the registries (losses, fusions, sources and so on) read
these types; `names` turns one into a tuple. A test holds that every registry has an entry for each of its names.
Nothing but the standard library is imported, so that `skinlesion --help` stays quick.
"""

from typing import Any, Literal, get_args

# Data
Source = Literal["ham10000", "isic_challenge", "isic_archive", "pad_ufes_20", "derm7pt", "folder", "phantom"]
DrawnProtocol = Literal["lesion", "image"]
PublishedProtocol = Literal["published_80_20", "published_80_20_validated", "published_70_15_15"]
Protocol = Literal[DrawnProtocol, PublishedProtocol]
RecordSource = Literal["own", "permuted"]
Direction = Literal["higher", "lower", "equal"]
Square = Literal["crop", "squash", "squash_bilinear", "squash_bicubic", "pad"]
InputScaling = Literal["backbone", "p3"]
ColorConstancy = Literal["none", "shades_of_gray"]
HairRemoval = Literal["none", "dullrazor"]

# Training
Preset = Literal["none", "flips", "dermoscopy"]
Fusion = Literal["none", "concat", "film", "cross_attention", "metablock", "metadata_only"]
MetadataEncoding = Literal["onehot", "onehot_drop_first", "ordinal", "embedding"]
Loss = Literal["cross_entropy", "focal", "cost_sensitive", "logit_adjusted"]
ClassWeights = Literal["none", "balanced", "effective"]
Sampler = Literal["shuffle", "class_balanced", "lesion", "group_balanced"]
Regime = Literal["frozen", "two_stage", "full"]
Optimizer = Literal["adam", "adamw"]
Schedule = Literal["constant", "cosine", "warm_restarts"]
Selection = Literal["best", "last"]
TestTimeAugmentation = Literal["none", "d4", "d4_zoom"]
Monitor = Literal["loss", "nll", "balanced_accuracy", "macro_f1", "macro_auc", "accuracy"]
LossDivisor = Literal["weights", "images"]

# After training
Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc", "malignant_auc"]
ClassMetric = Literal["sensitivity", "specificity", "precision", "f1", "auc"]  # as in sensitivity_mel
Calibration = Literal["temperature", "vector", "isotonic"]
CamMethod = Literal["gradcam", "gradcam++", "rollout"]
EnsembleMethod = Literal["mean", "weighted", "greedy"]
ExportForm = Literal["onnx", "hf"]
Tracker = Literal["mlflow", "wandb"]
LiveTracker = Literal["dvclive", "mlflow", "wandb"]

# Numbers that params.yaml and the command line bound alike
MOST_REPLICATES = 1_000_000  # of a bootstrap or permutation test; hours, where 10,000 take minutes
LARGEST_SEED = 2**31 - 1
MOST_EPOCHS = 10_000
LARGEST_BATCH = 65_536


def names(choice: Any) -> tuple[str, ...]:
    """Return the names of a choice: ("lesion", "image") for `Protocol`."""
    return get_args(choice)


def listed(choice: Any) -> str:
    """Return the names of a choice in words: "frozen, two_stage or full"."""
    *others, last = names(choice)
    return f"{', '.join(others)} or {last}" if others else last
