"""Which figures of assessment.json and metadata.json the report and the model cards list, in their order.

Names and titles come from `evaluation.figure_names`.
"""

from skinlesion.evaluation.figure_names import accuracy_at_coverage, at_operating_point, net_benefit_at
from skinlesion.params import AssessParams

#: The share of images of the accuracy on the most certain ones.
_COVERAGE = 0.8

#: Figures of metadata.json in the report, and on the card of a multimodal experiment.
REPORT_METADATA = (
    "balanced_accuracy", "gain_over_image_only", "balanced_accuracy_records_exchanged", "balanced_accuracy_all_missing",
    "gain_over_image_only_all_missing", "break_even_share_missing",
)  # fmt: skip
CARD_METADATA = (
    "gain_over_image_only", "balanced_accuracy_records_exchanged", "balanced_accuracy_all_missing",
    "break_even_share_missing",
)  # fmt: skip


def report_assessment(settings: AssessParams) -> list[str]:
    """Return the figures of assessment.json in the report's table of all systems."""
    return [
        "rms_calibration_error_uncalibrated",
        "rms_calibration_error_calibrated",
        "conformal_coverage_lac_by_class",
        "conformal_set_size_lac_by_class",
        accuracy_at_coverage(_COVERAGE),
        "malignant_average_precision",
        net_benefit_at("malignant", settings.decision_threshold),
        "expected_cost",
        "melanomas_called_benign_per_1000_lesions",
        "by_lesion_balanced_accuracy",
        "balanced_accuracy_at_own_rule",
        "macro_f1_at_own_rule",
    ]


def card_assessment(settings: AssessParams) -> list[str]:
    """Return the figures of assessment.json on a model card."""
    return [
        "rms_calibration_error_uncalibrated",
        "rms_calibration_error_calibrated",
        "ece_uncalibrated",
        "ece_calibrated",
        "brier_calibrated",
        "malignant_rms_calibration_error",
        "malignant_observed_to_expected",
        "malignant_calibration_intercept",
        "malignant_calibration_slope",
        "conformal_coverage_lac_by_class",
        "conformal_set_size_lac_by_class",
        accuracy_at_coverage(_COVERAGE),
        malignant_sensitivity(settings),
        "malignant_average_precision",
        "expected_cost",
        "melanomas_called_benign_per_1000_lesions",
        "by_lesion_balanced_accuracy",
        "balanced_accuracy_at_own_rule",
        "macro_f1_at_own_rule",
    ]


def malignant_sensitivity(settings: AssessParams) -> str:
    """Return the name of the sensitivity to malignancy at the first operating point, which also serves subgroups."""
    return at_operating_point("malignant", "sensitivity", settings.operating_points[0], "specificity")
