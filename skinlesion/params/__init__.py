"""The schema of params.yaml: its sections with their fields, ranges and defaults. `params_file` reads the file.

Every params.yaml of this repository spells every field (a test holds that), so DVC sees every value that a stage
uses and a default changed here never changes a result unseen.
"""

from skinlesion.params.data import (
    AuditParams,
    DataParams,
    ExternalParams,
    FolderColumns,
    FolderParams,
    PhantomParams,
    PrepareParams,
    SplitParams,
)
from skinlesion.params.evaluate import (
    AssessParams,
    ClaimParams,
    EnsembleParams,
    EvaluateParams,
    ExplainParams,
    PublishedParams,
    ReportParams,
    StatsParams,
)
from skinlesion.params.root import Params
from skinlesion.params.section import Section
from skinlesion.params.track import TrackParams
from skinlesion.params.train import RUN_FIELDS, AugmentParams, TrainParams, TuneParams

__all__ = [
    "RUN_FIELDS",
    "AssessParams",
    "AuditParams",
    "AugmentParams",
    "ClaimParams",
    "DataParams",
    "EnsembleParams",
    "EvaluateParams",
    "ExplainParams",
    "ExternalParams",
    "FolderColumns",
    "FolderParams",
    "Params",
    "PhantomParams",
    "PrepareParams",
    "PublishedParams",
    "ReportParams",
    "Section",
    "SplitParams",
    "StatsParams",
    "TrackParams",
    "TrainParams",
    "TuneParams",
]
