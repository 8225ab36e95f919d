"""Sections of params.yaml about results: evaluation, assessment, explanations, statistics and the report."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from skinlesion.choices import MOST_REPLICATES, Calibration, CamMethod, Direction, EnsembleMethod
from skinlesion.params.section import Cost, Distinct, Fold, Line, MetricName, Replicates, Section, Seed, check_costs
from skinlesion.vocabulary import CLASSES


class EvaluateParams(Section):
    """Intervals of one system's metrics."""

    replicates: Replicates = Field(2000, description="Bootstrap replicates behind each interval.")
    seed: Seed = Field(0, description="Seed of the bootstrap.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    ece_bins: int = Field(15, ge=2, le=1000, description="Equal-width bins of the expected calibration error.")


class AssessParams(Section):
    """Calibration, conformal sets, decisions and subgroups."""

    calibration: Calibration = Field(
        "temperature", description="How probabilities are recalibrated, fitted on validation parts."
    )
    coverage: float = Field(0.9, gt=0.5, lt=1, description="Share of lesions whose conformal set holds the true class.")
    smallest_class: int = Field(
        20, ge=0, le=1_000_000, description="Validation lesions a class needs for a conformal threshold of its own."
    )
    raps_penalty: float = Field(0.1, ge=0, le=10, description="RAPS: cost of each answer beyond the free ones.")
    raps_free_ranks: int = Field(2, ge=0, le=len(CLASSES), description="RAPS: answers that cost nothing.")
    operating_points: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Distinct] = Field(
        [0.9, 0.95],
        min_length=1,
        max_length=100,
        description="Specificities (and sensitivities) at which thresholds are set on validation; the first serves "
        "subgroups.",
    )
    partial_auc: float = Field(0.1, gt=0, lt=1, description="Highest false-positive rate of the partial AUC.")
    decision_threshold: float = Field(
        0.1, gt=0, lt=1, description="The risk of malignancy at which net benefit stands in assessment.json."
    )
    prevalence: float = Field(
        0.05, gt=0, lt=1, description="Share of malignant lesions in the clinic of decision_curve_in_clinic.csv."
    )
    costs: dict[str, dict[str, Cost]] = Field(
        {}, description="True class → answer → cost of that mistake; mistakes not listed cost 1."
    )
    subgroups: Annotated[list[Line], Distinct] = Field(
        ["age_band", "sex", "localization", "dataset", "confirmed"],
        description="Columns of the metadata that make groups; age_band and confirmed (histology) are made from them.",
    )
    smallest_group: int = Field(30, ge=1, le=1_000_000, description="Lesions below which a group is called too small.")
    smallest_cases: int = Field(
        10, ge=1, le=1_000_000, description="Lesions of a class below which a group has no figure on it."
    )

    @field_validator("costs")
    @classmethod
    def _known_classes(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        return check_costs(value)


class ExplainParams(Section):
    """Maps of where models look."""

    method: CamMethod = Field("gradcam", description="How maps are made; rollout needs a vision transformer.")
    fold: Fold = Field(0, description="The test fold whose images are mapped.")
    examples: int = Field(6, ge=1, le=60, description="Pictures of each kind: right, wrong, confidently wrong.")
    sanity_images: int = Field(100, ge=10, le=10_000, description="Images of the randomised-weights check.")


class StatsParams(Section):
    """Comparisons of experiments."""

    primary: MetricName = Field("balanced_accuracy", description="The metric the main comparison is about.")
    metrics: Annotated[list[MetricName], Distinct] = Field(
        ["balanced_accuracy", "macro_f1", "macro_auc"], min_length=1, description="Metrics compared."
    )
    pairs: list[Annotated[list[str], Field(min_length=2, max_length=2), Distinct]] | None = Field(
        None, description="Pairs [a, b] of experiments to compare; null compares every pair."
    )
    replicates: Replicates = Field(10_000, description="Bootstrap replicates.")
    seed: Seed = Field(0, description="Seed of the bootstrap.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    margins: dict[MetricName, Annotated[float, Field(gt=0, lt=1)]] = Field(
        {"balanced_accuracy": 0.02, "macro_f1": 0.02, "macro_auc": 0.005},
        description="Metric → the smallest difference that matters, fixed beforehand (docs/margins.md says why these).",
    )
    one_sided: float | None = Field(
        None,
        gt=0,
        lt=0.5,
        description="Level of each one-sided test against a margin (equivalence, non-inferiority); null is half of "
        "what the intervals leave out, 2.5% at a confidence of 95%.",
    )
    permutations: int = Field(
        1000,
        ge=0,
        le=MOST_REPLICATES,
        description="Swaps of the permutation test of the primary metric; 0 leaves it out.",
    )

    @model_validator(mode="after")
    def _primary_is_compared(self) -> Self:
        if self.primary not in self.metrics:
            raise ValueError(f"primary {self.primary} is not among metrics {', '.join(self.metrics)}")
        return self


class EffectParams(Section):
    """The question whether metadata helps."""

    multimodal: str | None = Field(
        None,
        description="The experiment with metadata whose gain over its image-only twin is questioned; controls are "
        "experiments that differ from the two in records, protocol, injected or tune alone. null asks nothing.",
    )
    label_draws: int = Field(200, ge=1, le=100_000, description="Draws of wrong labels at each rate.")
    seed: Seed = Field(0, description="Seed of these draws.")


class ClaimParams(Section):
    """A published statement about two experiments, to be answered in claims.csv."""

    claim: Line = Field(min_length=1, description="The statement in words.")
    a: str = Field(description="The experiment it starts from.")
    b: str = Field(description="The experiment compared with it.")
    metric: MetricName = Field(
        "balanced_accuracy",
        description="The metric it is answered with; of a class, as in sensitivity_mel, where it is about one.",
    )
    direction: Direction = Field(description="What it says of b against a.")
    source: Line = Field(min_length=1, description="Who says so.")


class EnsembleParams(Section):
    """Several experiments' probabilities in one, without training."""

    members: Annotated[list[str], Distinct] = Field(
        min_length=1, description="Experiments; one alone averages its seeds."
    )
    method: EnsembleMethod = Field(
        "mean",
        description="Equal weights; weights by validation; or greedy selection with replacement on validation.",
    )


class PublishedParams(Section):
    """A published system beside what became of it here."""

    system: Line = Field(min_length=1, description="Its name.")
    entry: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")] | None = Field(
        None, description="Its entry of the registry (`skinlesion registry`), which holds its figures."
    )
    published: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")], Annotated[float, Field(ge=0, le=1000)]] = (
        Field({}, description="Metric → the published figure, where there is no entry.")
    )
    setting: Line = Field(min_length=1, description="How the published figure came about, in words.")
    reproduced: str | None = Field(description="The experiment with its settings on its split, where there is one.")
    validated: str | None = Field(
        None, description="The same, chosen on other images than it reports, where the published system was not."
    )
    honest: str | None = Field(description="The same under the lesion protocol.")
    note: Line = Field("", description="What differs from the published system, such as another backbone's weights.")

    @model_validator(mode="after")
    def _figures_stand_once(self) -> Self:
        if self.entry is not None and self.published:
            raise ValueError(f"entry {self.entry} holds the figures; leave published out")
        return self


class ReportParams(Section):
    """The report."""

    title: Line = Field("Skin-lesion benchmark", min_length=1, description="Title of the report.")
    headline: Annotated[list[str], Distinct] = Field(
        [], description="Experiments and ensembles that `report --readme` shows; empty: all."
    )
