"""The folders of a workspace: where each stage writes and the others read."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from skinlesion.params import Params
from skinlesion.results.names import PARAMS_NAME

CACHE_ENVIRONMENT = "SKINLESION_CACHE"


def evaluate_command(params: Params, name: str) -> str:
    """Return what to run where the predictions of an experiment or an ensemble are missing."""
    command = "ensemble" if name in params.ensembles else "evaluate"
    return f"run `skinlesion {command} {name}`"


@dataclass(frozen=True)
class Workspace:
    """The folder that holds params.yaml, data/, models/ and reports/."""

    root: Path
    #: What its params.yaml is called.
    params_name: str = PARAMS_NAME
    #: The external data set that this is a view of; None is the data set itself.
    external: str | None = None

    @property
    def params_file(self) -> Path:
        return self.root / self.params_name

    @property
    def known_pairs(self) -> Path:
        """Return the file of further pairs of images that show one lesion."""
        return self.root / "data" / "known_pairs.csv"

    @property
    def prepared(self) -> Path:
        data = self.root / "data"
        return data / "prepared" if self.external is None else data / "external" / self.external

    def outside(self, name: str) -> "Workspace":
        """Return the same workspace with an external data set in the place of the prepared one."""
        return replace(self, external=name)

    @property
    def splits(self) -> Path:
        return self.root / "data" / "splits"

    @property
    def features(self) -> Path:
        """The feature cache: data/features, or the folder that SKINLESION_CACHE names (shared between projects)."""
        outside = os.environ.get(CACHE_ENVIRONMENT)
        return Path(outside).expanduser() / "features" if outside else self.root / "data" / "features"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def dataset(self) -> Path:
        return self.reports / "dataset"

    @property
    def audit(self) -> Path:
        return self.reports / "audit"

    @property
    def statistics(self) -> Path:
        return self.reports / "stats"

    @property
    def metadata_value(self) -> Path:
        return self.reports / "metadata"

    @property
    def effect(self) -> Path:
        return self.reports / "effect"

    def assessment(self, name: str) -> Path:
        """Return where the assessment of an experiment or an ensemble lies."""
        return self.reports / "assessments" / name

    @property
    def cards(self) -> Path:
        return self.reports / "cards"

    @property
    def figures(self) -> Path:
        return self.reports / "figures"

    @property
    def explanations(self) -> Path:
        return self.reports / "explanations"

    def explanation(self, name: str) -> Path:
        """Return where the explanations of an experiment lie."""
        return self.explanations / name

    def model(self, experiment: str) -> Path:
        return self.root / "models" / experiment

    def live(self, experiment: str) -> Path:
        """Return where a tracker keeps what it is told of a training: a folder that git and DVC ignore."""
        return self.root / ".live" / experiment

    def results(self, experiment: str) -> Path:
        return self.reports / "runs" / experiment

    def ensemble(self, name: str) -> Path:
        return self.reports / "ensembles" / name

    def system(self, params: Params, name: str) -> Path:
        """Return where the results of an experiment or an ensemble lie."""
        return self.ensemble(name) if name in params.ensembles else self.results(name)
