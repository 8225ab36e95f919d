"""Names and titles of the figures in assessment.json and metadata.json: writers and readers build them here.

A name that holds a level holds it exactly: 0.9 is "90", 0.125 is "12.5".
"""

from decimal import Decimal


def percent(share: float) -> str:
    """Return a share of one in percent with every digit it has: "90", "12.5"."""
    return f"{(Decimal(repr(float(share))) * 100).normalize():f}"


def rule_name(level: float, side: str) -> str:
    """Return what the rule of an operating point is called in tables and notes.json: "90% specificity".

    Args:
        level: what `side` is to reach on validation parts, in 0..1.
        side: "specificity" or "sensitivity".
    """
    return f"{percent(level)}% {side}"


def at_operating_point(target: str, metric: str, level: float, side: str) -> str:
    """Return "malignant_sensitivity_at_90_percent_specificity": a metric under the rule of an operating point."""
    return f"{target}_{metric}_at_{percent(level)}_percent_{side}"


def net_benefit_at(target: str, risk: float) -> str:
    """Return "malignant_net_benefit_at_10_percent_risk": the net benefit at a decision threshold."""
    return f"{target}_net_benefit_at_{percent(risk)}_percent_risk"


def accuracy_at_coverage(coverage: float) -> str:
    """Return "accuracy_at_80_percent_coverage": the accuracy on the most certain images that make up `coverage`."""
    return f"accuracy_at_{percent(coverage)}_percent_coverage"


def at_own_rule_name(objective: str) -> str:
    """Return "macro_f1_at_own_rule": a metric under the decision rule fitted for it on validation parts."""
    return f"{objective}_at_own_rule"


#: Titles that are not the name with spaces for underscores.
FIGURE_TITLES = {
    "rms_calibration_error_uncalibrated": "RMS calibration error",
    "rms_calibration_error_calibrated": "RMS calibration error after calibration",
    "ece_uncalibrated": "plug-in ECE",
    "ece_calibrated": "plug-in ECE after calibration",
    "ece_classwise_uncalibrated": "plug-in classwise ECE",
    "ece_classwise_calibrated": "plug-in classwise ECE after calibration",
    "brier_uncalibrated": "Brier score",
    "brier_calibrated": "Brier score after calibration",
    "nll_uncalibrated": "log loss",
    "nll_calibrated": "log loss after calibration",
    "malignant_rms_calibration_error": "malignant, RMS calibration error",
    "malignant_observed_to_expected": "malignant, observed over expected",
    "malignant_calibration_intercept": "malignant, calibration intercept",
    "malignant_calibration_slope": "malignant, calibration slope",
    "conformal_coverage_lac_by_class": "conformal coverage, LAC by class",
    "conformal_set_size_lac_by_class": "answers in a conformal set",
    "aurc": "area under the risk–coverage curve",
    "expected_cost": "expected cost per image",
    "expected_cost_of_least_cost_answer": "expected cost per image of the least-cost answer",
    "melanomas_missed_per_1000_lesions": "melanomas missed per 1,000 lesions",
    "melanomas_called_benign_per_1000_lesions": "melanomas called benign per 1,000 lesions",
    "by_lesion_balanced_accuracy": "balanced accuracy by lesion",
    "balanced_accuracy_at_own_rule": "balanced accuracy at its own rule",
    "macro_f1_at_own_rule": "macro F1 at its own rule",
    "gain_over_image_only": "difference from the image-only twin",
    "gain_over_image_only_all_missing": "difference from the image-only twin with all fields missing",
    "balanced_accuracy_records_exchanged": "with records of other lesions",
    "balanced_accuracy_all_missing": "with all fields missing",
    "break_even_share_missing": "share of missing records at which the lead is gone",
}


def figure_title(name: str) -> str:
    """Return the title of a figure: "plug-in ECE after calibration", "malignant sensitivity at 90% specificity"."""
    return FIGURE_TITLES.get(name, name.replace("_percent_", "% ").replace("_", " "))
