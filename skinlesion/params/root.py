"""All of params.yaml as one object, and the training parameters of each experiment in it."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator

from skinlesion.errors import UserError, choices, name_some
from skinlesion.params.data import AuditParams, DataParams, ExternalParams, PrepareParams, SplitParams
from skinlesion.params.evaluate import (
    AssessParams,
    ClaimParams,
    EffectParams,
    EnsembleParams,
    EvaluateParams,
    ExplainParams,
    PublishedParams,
    ReportParams,
    StatsParams,
)
from skinlesion.params.problems import describe
from skinlesion.params.section import Section
from skinlesion.params.track import TrackParams
from skinlesion.params.train import TrainParams


class Params(Section):
    """All of params.yaml. `experiments` holds, by name, what differs from `train`."""

    data: DataParams = DataParams()
    prepare: PrepareParams = PrepareParams()
    split: SplitParams = SplitParams()
    train: TrainParams = TrainParams()
    track: TrackParams = TrackParams()
    evaluate: EvaluateParams = EvaluateParams()
    assess: AssessParams = AssessParams()
    explain: ExplainParams = ExplainParams()
    stats: StatsParams = StatsParams()
    effect: EffectParams = EffectParams()
    report: ReportParams = ReportParams()
    audit: AuditParams = AuditParams()
    external: list[ExternalParams] = Field([], description="Further data sets, predicted by every experiment.")
    ensembles: dict[str, EnsembleParams] = Field(
        default_factory=dict, description="Ensemble name → members and method."
    )
    claims: list[ClaimParams] = Field([], description="Published statements that `stats` answers.")
    published: list[PublishedParams] = Field([], description="Published systems, for the report's table.")
    experiments: dict[str, dict[str, Any] | None] = Field(
        default_factory=dict, description="Experiment name → the train fields it changes."
    )

    @field_validator("external")
    @classmethod
    def _distinct_names(cls, value: list[ExternalParams]) -> list[ExternalParams]:
        names = [external.name for external in value]
        if len(set(names)) < len(names):
            raise ValueError("uses a name twice")
        return value

    def external_set(self, name: str) -> ExternalParams:
        """Return one external data set.

        Raises:
            UserError: there is none of that name.
        """
        sets = {external.name: external for external in self.external}
        if name not in sets:
            raise UserError(f"--external {name_some([name])}: not in params.yaml; {choices(sets, name)}")
        return sets[name]

    @property
    def systems(self) -> list[str]:
        """Return the names of everything that is compared: experiments, then ensembles."""
        return [*self.experiments, *self.ensembles]

    def experiment(self, name: str, changes: Mapping[str, Any] | None = None) -> TrainParams:
        """Return the training parameters of one experiment: `train`, then its own, then `changes`.

        Raises:
            UserError: there is no such experiment.
        """
        if name not in self.experiments:
            raise UserError(f"{name_some([name])}: not an experiment in params.yaml; {choices(self.experiments, name)}")
        return self.resolve({**(self.experiments[name] or {}), **(changes or {})}, f"experiments.{name}")

    def explained_fold(self, name: str) -> int:
        """Return the fold of an experiment whose tested images `explain` maps: `explain.fold`, or its first.

        Raises:
            UserError: there is no such experiment.
        """
        folds = self.experiment(name).folds
        return self.explain.fold if self.explain.fold in folds else folds[0]

    def resolve(self, changes: Mapping[str, Any], where: str) -> TrainParams:
        """Return `train` with `changes` laid over it, validated; `where` names the origin in messages.

        Raises:
            UserError: a value is not valid, or a repeat is asked for that `split.repeats` does not draw.
        """
        stated = self.train.model_dump(exclude_unset=True)
        try:
            resolved = TrainParams.model_validate({**stated, **changes})
        except ValidationError as error:
            raise UserError(describe(error, TrainParams, where)) from None
        if max(resolved.repeats) >= self.split.repeats:
            origin = where if "repeats" in changes else "train"
            raise UserError(
                f"{origin}.repeats: {max(resolved.repeats)} is not drawn; split.repeats: {self.split.repeats} gives 0 "
                f"to {self.split.repeats - 1}"
            )
        return resolved
