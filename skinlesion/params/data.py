"""Sections of params.yaml about data: where they come from, how they are prepared, split and audited."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from skinlesion.choices import ColorConstancy, HairRemoval, Source
from skinlesion.params.section import NAME, Line, ModelText, PathText, Replicates, Section, Seed


class PhantomParams(Section):
    """How the phantom is drawn, and how many of it."""

    images: int = Field(2000, ge=20, le=100_000, description="How many images are drawn.")
    seed: Seed = Field(0, description="Seed of the population and of the drawing: the same seed, the same data.")
    metadata_signal: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of records whose age, sex and site follow the diagnosis; at 0 metadata is worthless.",
    )


class FolderColumns(Section):
    """Which column of a table holds what; null where it has none."""

    image_id: str = Field("image_id", description="The image: its file's name, with or without folder and ending.")
    lesion_id: str | None = Field(None, description="The lesion; null makes every image its own.")
    patient_id: str | None = Field(None, description="The patient; splits keep a patient's lesions together.")
    dx: str = Field("dx", description="The diagnosis, in the words that `diagnoses` maps.")
    age: str | None = Field(None, description="The age in years.")
    sex: str | None = Field(None, description="The sex: female, male, f, m.")
    localization: str | None = Field(None, description="The anatomical site, in the words that `localizations` maps.")


class FolderParams(Section):
    """A table and images of one's own."""

    table: Line = Field("metadata.csv", min_length=1, description="The CSV, below data.path.")
    columns: FolderColumns = Field(FolderColumns(), description="Which column holds what.")
    diagnoses: dict[str, str] = Field({}, description="Their word → our class; words without one are left out.")
    localizations: dict[str, str] = Field({}, description="Their word → our site; words without one are unknown.")


class DataParams(Section):
    """Where images and metadata come from."""

    source: Source = Field("ham10000", description="Where images and metadata come from.")
    path: PathText = Field(
        Path("data/raw"),
        description="What the source reads and DVC watches: the archive's folder, or the phantom's drawing code.",
    )
    download: bool = Field(
        True, description="With source ham10000 and no image below data.path: fetch the archive there (2.8 GB)."
    )
    phantom: PhantomParams = Field(PhantomParams(), description="The drawn population.")
    folder: FolderParams = Field(FolderParams(), description="What source `folder` reads.")


class PrepareParams(Section):
    """How images are stored."""

    image_size: int = Field(256, ge=32, le=1024, description="Short side of the stored frames, in pixels.")
    color_constancy: ColorConstancy = Field("none", description="Take the light's colour out (Shades of Gray, p = 6).")
    hair_removal: HairRemoval = Field("none", description="Paint dark hairs over (DullRazor).")
    on_error: Literal["stop", "skip"] = Field(
        "stop", description="Findings in the data end the stage, or are left out and recorded."
    )

    @property
    def adjusts(self) -> bool:
        """Whether pixels change by more than their number."""
        return self.color_constancy != "none" or self.hair_removal != "none"


class SplitParams(Section):
    """The ten parts that folds are made of."""

    seed: Seed = Field(0, description="Seed of the assignment of lesions (images) to the ten parts.")
    repeats: int = Field(
        1, ge=1, le=100, description="How many whole partitions are drawn, each from a seed of its own."
    )


class AuditParams(Section):
    """The search for duplicates and shortcuts."""

    backbone: ModelText | None = Field(
        None, description="The timm model whose frozen features are compared; null takes train.backbone."
    )
    weights: ModelText | None = Field(None, description="Its weights; null takes train.weights.")
    hash_distance: int = Field(
        22, ge=0, le=64, description="Bits of 64 in which the perceptual hashes of a near-duplicate may differ."
    )
    false_positive_rate: float = Field(
        1e-6, ge=0, le=0.01, description="Largest share of different-lesion pairs that may count as near-duplicates."
    )
    on_near_duplicates: Literal["report", "stop"] = Field(
        "report", description="Near-duplicates across parts are reported, or end the stage."
    )
    shown: int = Field(60, ge=1, le=1000, description="Most pairs that the page shows of each kind.")
    replicates: Replicates = Field(500, description="Bootstrap replicates of the shortcuts' intervals.")


class ExternalParams(DataParams):
    """A data set that nothing is trained on: `evaluate` predicts it."""

    name: str = Field(pattern=f"^{NAME}$", description="Its name in reports.")
