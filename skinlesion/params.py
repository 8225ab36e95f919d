"""The schema of `params.yaml`, and how an experiment or a flag changes it: resolve(train ← experiment ← flags).

Every `params.yaml` of this repository spells every field (a test holds that), so DVC sees every value that a
stage uses and a default changed here never changes a result unseen.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from skinlesion.errors import UserError, choices
from skinlesion.vocabulary import CLASSES

SourceName = Literal["ham10000", "isic_challenge", "isic_archive", "pad_ufes_20", "derm7pt", "folder", "phantom"]
Fusion = Literal["none", "concat", "film", "cross_attention", "metablock", "metadata_only"]
MetadataEncoding = Literal["onehot", "ordinal", "embedding"]
Protocol = Literal["lesion", "image"]
Regime = Literal["frozen", "two_stage", "full"]
Monitor = Literal["loss", "balanced_accuracy", "macro_f1", "macro_auc", "accuracy"]
Metric = Literal["balanced_accuracy", "macro_f1", "macro_auc"]

_EXPERIMENT_NAME = re.compile(r"[a-z0-9_]+")

Fold = Annotated[int, Field(ge=0, le=4)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Width = Annotated[int, Field(ge=1, le=8192)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Strength = Annotated[float, Field(ge=0, lt=1)] | None
Cost = Annotated[float, Field(ge=0, le=1e6)]


def check_costs(value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return costs (true class → answer → cost); a ValueError names what is no class."""
    named = [*value, *(answer for answers in value.values() for answer in answers)]
    unknown = [name for name in named if name not in CLASSES]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a class; {choices(CLASSES, unknown[0])}")
    return value


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused and values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PhantomParams(Section):
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
    dx: str = Field("dx", description="The diagnosis, in the words that `diagnoses` maps.")
    age: str | None = Field(None, description="The age in years.")
    sex: str | None = Field(None, description="The sex: female, male, f, m.")
    localization: str | None = Field(None, description="The anatomical site, in the words that `localizations` maps.")


class FolderParams(Section):
    """A table and images of one's own."""

    table: str = Field("metadata.csv", min_length=1, description="The CSV, below data.path.")
    columns: FolderColumns = Field(FolderColumns(), description="Which column holds what.")
    diagnoses: dict[str, str] = Field({}, description="Their word → our class; words without one are left out.")
    localizations: dict[str, str] = Field({}, description="Their word → our site; words without one are unknown.")


class DataParams(Section):
    source: SourceName = Field("ham10000", description="Where images and metadata come from.")
    path: Path = Field(
        Path("data/raw"),
        description="What the source reads and DVC watches: the archive's folder, or the phantom's drawing code.",
    )
    download: bool = Field(
        True, description="With source ham10000 and no image below data.path: fetch the archive there (2.8 GB)."
    )
    phantom: PhantomParams = Field(PhantomParams(), description="The drawn population.")
    folder: FolderParams = Field(FolderParams(), description="What source `folder` reads.")


class PrepareParams(Section):
    image_size: int = Field(256, ge=32, le=1024, description="Side of the stored square images, in pixels.")
    square: Literal["crop", "squash", "pad"] = Field(
        "crop", description="How a frame becomes square: its centre, all of it squeezed, or all of it between bars."
    )
    color_constancy: Literal["none", "shades_of_gray"] = Field(
        "none", description="Take the light's colour out (Shades of Gray, p = 6)."
    )
    hair_removal: Literal["none", "dullrazor"] = Field("none", description="Paint dark hairs over (DullRazor).")
    on_error: Literal["stop", "skip"] = Field(
        "stop", description="Findings in the data end the stage, or are left out and recorded."
    )

    @property
    def adjusts(self) -> bool:
        """Whether pixels change by more than being made square."""
        return self.color_constancy != "none" or self.hair_removal != "none"


class SplitParams(Section):
    seed: Seed = Field(0, description="Seed of the assignment of lesions (images) to the ten parts.")


class AugmentParams(Section):
    """Random changes of training images: a preset, and what differs from it. A bare name means that preset."""

    preset: Literal["none", "flips", "dermoscopy"] = Field("none", description="Where the values left out come from.")
    flip: bool | None = Field(None, description="Mirror along either axis, each with probability 1/2.")
    rotate90: bool | None = Field(None, description="Turn by a multiple of 90 degrees.")
    rotation: Annotated[float, Field(ge=0, le=180)] | None = Field(None, description="Largest angle, in degrees.")
    scale: tuple[float, float] | None = Field(None, description="Smallest and largest magnification.")
    translation: Strength = Field(None, description="Largest shift, as a share of the side.")
    crop: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Smallest share of the area that a random square crop keeps; 1 crops nothing."
    )
    brightness: Strength = Field(None, description="Factor from 1 − x to 1 + x.")
    contrast: Strength = Field(None, description="Factor from 1 − x to 1 + x about the image's mean grey.")
    saturation: Strength = Field(None, description="Factor from 1 − x to 1 + x.")
    hue: Annotated[float, Field(ge=0, le=0.5)] | None = Field(None, description="Largest turn of hue, in whole turns.")
    mixup: Annotated[float, Field(ge=0, le=10)] | None = Field(None, description="α of MixUp's Beta(α, α); 0 is off.")
    cutmix: Annotated[float, Field(ge=0, le=10)] | None = Field(None, description="α of CutMix's Beta(α, α); 0 is off.")

    @model_validator(mode="before")
    @classmethod
    def _name_is_a_preset(cls, value: Any) -> Any:
        return {"preset": value} if isinstance(value, str) else value

    @field_validator("scale")
    @classmethod
    def _ordered(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 0.1 <= value[0] <= value[1] <= 10:
            raise ValueError("is not [smallest, largest] within 0.1 to 10")
        return value

    @property
    def is_off(self) -> bool:
        return (
            self.preset == "none"
            and not any(value for name, value in self if name not in ("preset", "scale", "crop"))
            and self.scale in (None, (1.0, 1.0))
            and self.crop in (None, 1.0)
        )


class TrainParams(Section):
    # What sees the image
    backbone: str = Field("tf_efficientnet_lite0", min_length=1, description="Name of a timm model, tag included.")
    weights: str = Field(
        "imagenet",
        min_length=1,
        description="imagenet (pip-installed, else the model hub), none (random), or a .safetensors file.",
    )
    input_size: Annotated[int, Field(ge=32, le=1024)] | None = Field(
        None, description="Side of the backbone's input in pixels; null takes the backbone's own."
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="Arithmetic of the backbone; bf16 changes results, so it is never automatic."
    )
    compile: bool = Field(False, description="Compile the fine-tuned network with torch.compile.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a CUDA device where there is one.")

    # Which images, which runs
    protocol: Protocol = Field(
        "lesion", description="Which split: by lesion (honest) or by image (leaky, as published projects did)."
    )
    folds: list[Fold] = Field([0], min_length=1, description="Test folds to run, out of 0 to 4.")
    seeds: list[Seed] = Field([0], min_length=1, description="Training seeds to run for each fold.")

    # What sees age, sex and localization
    fusion: Fusion = Field("none", description="How metadata joins the image; metadata_only leaves the image out.")
    metadata: MetadataEncoding = Field("onehot", description="How age, sex and localization become numbers.")
    age: Literal["continuous", "binned"] = Field(
        "continuous", description="Age as a number with a missing flag, or as a ten-year bin (embedding only)."
    )
    embedding_width: Width = Field(8, description="Numbers each category is embedded in (embedding only).")
    metadata_hidden: list[Width] = Field([32, 16], description="Widths of the metadata MLP.")
    metadata_batch_norm: bool = Field(False, description="Batch normalisation after the metadata MLP's first layer.")
    metadata_dropout: Probability = Field(0.0, description="Dropout after the metadata MLP.")
    record_dropout: Probability = Field(0.0, description="Share of training records shown with every field missing.")
    field_dropout: Probability = Field(0.0, description="Share of each field shown as missing during training.")
    attention_width: Width = Field(128, description="Width of queries, keys and values (cross_attention).")
    attention_heads: int = Field(4, ge=1, le=64, description="Attention heads; divides attention_width.")
    spatial_grid: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="Pool spatial features to at most this many cells a side; null keeps the backbone's map."
    )

    # The head
    image_hidden: list[Width] = Field([], description="Widths of dense layers on image features, before fusion.")
    head_hidden: list[Width] = Field([], description="Widths of dense layers between fusion and softmax.")
    dropout: Probability = Field(0.2, description="Dropout on the pooled image features.")
    fusion_dropout: Probability = Field(0.0, description="Dropout on the fused features.")
    head_dropout: Probability = Field(0.2, description="Dropout after each dense layer of the head.")

    # What is minimised, and on which images
    loss: Literal["cross_entropy", "focal", "cost_sensitive", "logit_adjusted"] = Field(
        "cross_entropy", description="The training loss."
    )
    class_weights: Literal["none", "balanced", "effective"] = Field(
        "balanced", description="Weights of classes: none, n / (classes × count), or by effective number."
    )
    effective_beta: float = Field(0.999, ge=0, lt=1, description="β of the effective number (1 − βⁿ) / (1 − β).")
    label_smoothing: Probability = Field(0.0, description="Share of each label spread over all classes.")
    focal_gamma: float = Field(2.0, ge=0, le=20, description="γ of the focal loss; 0 is cross-entropy.")
    cost_weight: float = Field(1.0, ge=0, le=1e3, description="λ of cross-entropy + λ · expected cost.")
    costs: dict[str, dict[str, Cost]] = Field(
        {}, description="True class → answer → cost of that mistake; mistakes not listed cost 1."
    )
    adjustment_tau: float = Field(1.0, ge=0, le=10, description="τ of the logit adjustment τ · log prior.")
    sampler: Literal["shuffle", "class_balanced", "lesion"] = Field(
        "shuffle", description="An epoch: every image once, classes equally often, or one image a lesion."
    )
    augment: AugmentParams = Field(AugmentParams(), description="A preset's name, or a mapping of what differs.")
    views: int = Field(1, ge=1, le=64, description="Augmented versions of every image that frozen features hold.")

    # How it is minimised: the head on frozen features (frozen, first phase of two_stage) …
    regime: Regime = Field("frozen", description="Backbone frozen; frozen, then fine-tuned; or fine-tuned at once.")
    optimizer: Literal["adam", "adamw"] = Field("adam", description="Optimiser.")
    lr: float = Field(1e-3, gt=0, le=10, description="Learning rate of the head phase.")
    weight_decay: float = Field(0.0, ge=0, le=10, description="Weight decay; biases and normalisation are exempt.")
    batch_size: int = Field(256, ge=1, le=65_536, description="Images a step in the head phase.")
    epochs: int = Field(40, ge=1, le=10_000, description="Most epochs of the head phase.")
    patience: int = Field(5, ge=1, le=10_000, description="Epochs without a better validation value before stopping.")
    monitor: Monitor = Field("loss", description="The validation value that stops training and picks the weights.")

    # … and all layers, or the last stages (full, second phase of two_stage)
    trainable_stages: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="How many of the backbone's last stages are fine-tuned; null is all layers."
    )
    batch_norm: Literal["train", "frozen"] = Field(
        "train", description="Whether batch statistics of fine-tuned layers follow the data or stay as they were."
    )
    finetune_lr: float = Field(1e-4, gt=0, le=10, description="Learning rate of fine-tuning.")
    layer_decay: float = Field(1.0, gt=0, le=1, description="Factor on the learning rate per block away from the head.")
    finetune_batch_size: int = Field(32, ge=1, le=65_536, description="Images a step of fine-tuning.")
    finetune_epochs: int = Field(20, ge=1, le=10_000, description="Most epochs of fine-tuning.")
    finetune_patience: int = Field(5, ge=1, le=10_000, description="As patience, for fine-tuning.")

    # Both phases
    schedule: Literal["constant", "cosine", "warm_restarts"] = Field(
        "constant", description="Course of the learning rate over a phase."
    )
    warmup_epochs: float = Field(0.0, ge=0, le=1000, description="Epochs of linear warm-up.")
    restart_epochs: float = Field(10.0, gt=0, le=10_000, description="Length of the first cosine of warm_restarts.")
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(None, description="Largest norm of the gradient.")
    ema_decay: Probability = Field(0.0, description="Decay a step of the weights' moving average; 0 is off.")

    # Prediction and bookkeeping
    tta: Literal["none", "d4"] = Field(
        "none", description="Test-time augmentation: mean probability over the 8 flips and quarter turns."
    )
    checkpoint_seconds: float = Field(
        15.0, ge=0, description="Least time between checkpoints of a run; 0 writes one every epoch."
    )

    @field_validator("folds", "seeds")
    @classmethod
    def _distinct(cls, values: list[int]) -> list[int]:
        if len(set(values)) < len(values):
            raise ValueError("lists a value twice")
        return sorted(values)

    @field_validator("weights")
    @classmethod
    def _known_weights(cls, value: str) -> str:
        if value not in ("imagenet", "none") and not value.endswith(".safetensors"):
            raise ValueError("is neither imagenet, none nor the path of a .safetensors file")
        return value

    @field_validator("costs")
    @classmethod
    def _known_classes(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        return check_costs(value)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mixes = bool(self.augment.mixup or self.augment.cutmix)
        if self.attention_width % self.attention_heads:
            raise ValueError(
                f"attention_heads {self.attention_heads} does not divide attention_width {self.attention_width}"
            )
        if self.fusion == "metadata_only" and self.regime != "frozen":
            raise ValueError("fusion metadata_only has no backbone to fine-tune; take regime frozen")
        if self.fusion == "metadata_only" and self.image_hidden:
            raise ValueError("fusion metadata_only has no image features; leave image_hidden empty")
        if self.fusion in ("cross_attention", "metablock") and self.image_hidden:
            raise ValueError(f"fusion {self.fusion} works on the feature map; leave image_hidden empty")
        if self.age == "binned" and self.metadata != "embedding":
            raise ValueError("age binned needs metadata embedding")
        if self.views > 1 and self.augment.is_off:
            raise ValueError(f"views {self.views} needs augment; without it every view is the same")
        if self.regime == "frozen" and not self.augment.is_off and self.views == 1:
            raise ValueError("augment with a frozen backbone works through cached views; set views to 4, say")
        if mixes and self.regime == "frozen":
            raise ValueError("augment.mixup and augment.cutmix blend pixels; take regime two_stage or full")
        return self

    @property
    def uses_metadata(self) -> bool:
        return self.fusion != "none"

    @property
    def fine_tunes(self) -> bool:
        return self.regime != "frozen"


class EvaluateParams(Section):
    replicates: int = Field(2000, ge=100, le=1_000_000, description="Bootstrap replicates behind each interval.")
    seed: Seed = Field(0, description="Seed of the bootstrap.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    ece_bins: int = Field(15, ge=2, le=1000, description="Equal-width bins of the expected calibration error.")


class AssessParams(Section):
    calibration: Literal["temperature", "vector", "isotonic"] = Field(
        "temperature", description="How probabilities are recalibrated, fitted on validation parts."
    )
    coverage: float = Field(0.9, gt=0.5, lt=1, description="What conformal sets promise.")
    smallest_class: int = Field(
        20, ge=0, description="Validation lesions a class needs for a conformal threshold of its own."
    )
    raps_penalty: float = Field(0.1, ge=0, le=10, description="RAPS: cost of each answer beyond the free ones.")
    raps_free_ranks: int = Field(2, ge=0, le=len(CLASSES), description="RAPS: answers that cost nothing.")
    operating_points: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.9, 0.95],
        min_length=1,
        description="Specificities (and sensitivities) at which thresholds are set on validation; the first serves "
        "subgroups.",
    )
    partial_auc: float = Field(0.1, gt=0, lt=1, description="Highest false-positive rate of the partial AUC.")
    decision_threshold: float = Field(
        0.1, gt=0, lt=1, description="The risk of malignancy at which net benefit stands in assessment.json."
    )
    costs: dict[str, dict[str, Cost]] = Field(
        {}, description="True class → answer → cost of that mistake; mistakes not listed cost 1."
    )
    subgroups: list[str] = Field(
        ["age_band", "sex", "localization", "dataset", "confirmed"],
        description="Columns of the metadata that make groups; age_band and confirmed (histology) are made from them.",
    )
    smallest_group: int = Field(30, ge=1, description="Lesions below which a group is called too small.")
    smallest_cases: int = Field(10, ge=1, description="Lesions of a class below which a group has no figure on it.")

    @field_validator("costs")
    @classmethod
    def _known_classes(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        return check_costs(value)


class ExplainParams(Section):
    method: Literal["gradcam", "gradcam++", "rollout"] = Field(
        "gradcam", description="How maps are made; rollout needs a vision transformer."
    )
    fold: Fold = Field(0, description="The test fold whose images are mapped.")
    examples: int = Field(6, ge=1, le=60, description="Pictures of each kind: right, wrong, confidently wrong.")
    sanity_images: int = Field(100, ge=10, le=10_000, description="Images of the randomised-weights check.")


class StatsParams(Section):
    primary: Metric = Field("balanced_accuracy", description="The metric the main comparison is about.")
    metrics: list[Metric] = Field(
        ["balanced_accuracy", "macro_f1", "macro_auc"], min_length=1, description="Metrics compared."
    )
    pairs: list[Annotated[list[str], Field(min_length=2, max_length=2)]] | None = Field(
        None, description="Pairs [a, b] of experiments to compare; null compares every pair."
    )
    replicates: int = Field(10_000, ge=100, le=1_000_000, description="Bootstrap replicates.")
    seed: Seed = Field(0, description="Seed of the bootstrap.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    margin: float = Field(
        0.02, gt=0, lt=1, description="The smallest difference that matters, in units of the metric; fixed beforehand."
    )
    permutations: int = Field(
        1000, ge=0, le=1_000_000, description="Swaps of the permutation test of the primary metric; 0 leaves it out."
    )

    @model_validator(mode="after")
    def _primary_is_compared(self) -> Self:
        if self.primary not in self.metrics:
            raise ValueError(f"primary {self.primary} is not among metrics {', '.join(self.metrics)}")
        return self


class AuditParams(Section):
    backbone: str | None = Field(
        None, min_length=1, description="The timm model whose frozen features are compared; null takes train.backbone."
    )
    weights: str | None = Field(None, min_length=1, description="Its weights; null takes train.weights.")
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
    replicates: int = Field(500, ge=100, le=1_000_000, description="Bootstrap replicates of the shortcuts' intervals.")


class ExternalParams(DataParams):
    """A data set that nothing is trained on: `evaluate` predicts it."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Its name in reports.")


class ClaimParams(Section):
    """A published statement about two experiments, to be answered in claims.csv."""

    claim: str = Field(min_length=1, description="The statement in words.")
    a: str = Field(description="The experiment it starts from.")
    b: str = Field(description="The experiment it speaks of.")
    metric: Metric = Field("balanced_accuracy", description="The metric it is answered with.")
    direction: Literal["higher", "lower", "equal"] = Field(description="What it says of b against a.")
    source: str = Field(min_length=1, description="Who says so.")


class EnsembleParams(Section):
    """Several experiments' probabilities in one, without training."""

    members: list[str] = Field(min_length=1, description="Experiments; one alone averages its seeds.")
    method: Literal["mean", "weighted", "greedy"] = Field(
        "mean",
        description="Equal weights; weights by validation; or greedy selection with replacement on validation.",
    )


class PublishedParams(Section):
    """A published system beside what became of it here."""

    system: str = Field(min_length=1, description="Its name.")
    published: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        {}, description="Metric → the published figure, as a share of one."
    )
    setting: str = Field(min_length=1, description="How the published figure came about, in words.")
    reproduced: str | None = Field(description="The experiment under the image protocol, where there is one.")
    honest: str | None = Field(description="The same under the lesion protocol.")
    note: str = Field("", description="What differs from the published system, such as another backbone's weights.")


class ReportParams(Section):
    title: str = Field("Skin-lesion benchmark", min_length=1, description="Title of the report.")


class Params(Section):
    """All of params.yaml. `experiments` holds, by name, what differs from `train`."""

    data: DataParams = DataParams()
    prepare: PrepareParams = PrepareParams()
    split: SplitParams = SplitParams()
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()
    assess: AssessParams = AssessParams()
    explain: ExplainParams = ExplainParams()
    stats: StatsParams = StatsParams()
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
        names = [one.name for one in value]
        if len(set(names)) < len(names):
            raise ValueError("uses a name twice")
        return value

    def external_set(self, name: str) -> ExternalParams:
        """Return one external data set.

        Raises:
            UserError: there is none of that name.
        """
        found = {one.name: one for one in self.external}
        if name not in found:
            raise UserError(f"--external {name}: not in params.yaml; {choices(found, name)}")
        return found[name]

    def auditor(self) -> TrainParams:
        """Return the settings under which `audit` computes its features: those of `train`, image alone and frozen."""
        named = {"backbone": self.audit.backbone, "weights": self.audit.weights}
        plain = {"fusion": "none", "regime": "frozen", "augment": "none", "views": 1, "protocol": "lesion"}
        return self.resolve(plain | {name: value for name, value in named.items() if value is not None}, "audit")

    @property
    def systems(self) -> list[str]:
        """Return the names of everything that is compared: experiments, then ensembles."""
        return [*self.experiments, *self.ensembles]

    def experiment(self, name: str) -> TrainParams:
        """Return the merged training parameters of one experiment.

        Raises:
            UserError: there is no such experiment.
        """
        if name not in self.experiments:
            raise UserError(f"--experiment {name}: not in params.yaml; {choices(self.experiments, name)}")
        return self.resolve(self.experiments[name] or {}, f"experiments.{name}")

    def resolve(self, changes: Mapping[str, Any], where: str) -> TrainParams:
        """Return `train` with `changes` laid over it, validated; `where` names the origin in messages."""
        written = self.train.model_dump(exclude_unset=True)
        try:
            return TrainParams.model_validate({**written, **changes})
        except ValidationError as error:
            raise UserError(describe(error, TrainParams, where)) from None


def load_params(path: Path = Path("params.yaml"), *, required: bool = True) -> Params:
    """Return the validated content of a params.yaml; with `required=False` an absent file means all defaults.

    Raises:
        UserError: no such file, not YAML, or a field, type, range or name that the schema refuses (all are listed).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if not required:
            return Params()
        raise UserError(f"{path}: no such file; run in the folder that holds it, or give --params FILE") from None
    try:
        content = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML ({getattr(error, 'problem', 'unreadable')})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no sections; {choices(Params.model_fields)}")
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {describe(error, Params)}") from None
    for name in params.experiments:
        if not _EXPERIMENT_NAME.fullmatch(name):
            raise UserError(f"{path}: experiments.{name}: not a valid name; use a-z, 0-9 and _")
        params.experiment(name)
    for name, ensemble in params.ensembles.items():
        if not _EXPERIMENT_NAME.fullmatch(name) or name in params.experiments:
            raise UserError(f"{path}: ensembles.{name}: not a name of its own of a-z, 0-9 and _; take another")
        for member in ensemble.members:
            if member not in params.experiments:
                raise UserError(
                    f"{path}: ensembles.{name}.members: no experiment {member}; {choices(params.experiments, member)}"
                )
    named = [("stats.pairs", name) for pair in params.stats.pairs or [] for name in pair]
    named += [(f"claims.{place}", name) for place, one in enumerate(params.claims) for name in (one.a, one.b)]
    for place, row in enumerate(params.published):
        named += [(f"published.{place}", name) for name in (row.reproduced, row.honest) if name is not None]
    for field, name in named:
        if name not in params.systems:
            raise UserError(f"{path}: {field}: no experiment {name}; {choices(params.systems, name)}")
    return params


def parse_setting(text: str) -> tuple[str, Any]:
    """Return ('lr', 0.001) for 'lr=1e-3': a field of `train` and its value, read as YAML.

    Raises:
        UserError: no `=`, no such field, or a value that is not YAML.
    """
    name, sign, value = text.partition("=")
    name = name.strip().removeprefix("train.")
    if not sign:
        raise UserError(f"--set {text}: expected FIELD=VALUE, for example --set lr=1e-4")
    if name not in TrainParams.model_fields:
        raise UserError(f"--set {name}: unknown field; {choices(TrainParams.model_fields, name)}")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"--set {name}: {value!r} is not a YAML value") from None


def describe(error: ValidationError, schema: type[BaseModel], where: str = "") -> str:
    """Return a validation error as one line: each field with its value and what would be valid."""
    return "; ".join(_describe_one(one, schema, where) for one in error.errors())


def _describe_one(error: Any, schema: type[BaseModel], where: str) -> str:
    # Tags of unions (`dict[...]`, `constrained-int`) are pydantic's, not the user's: keep keys and positions only.
    keys = [part for part in error["loc"] if isinstance(part, int) or re.fullmatch(r"[\w-]+", part)]
    field = ".".join(([where] if where else []) + [str(part) for part in keys])
    given, context = error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        return f"{field}: unknown field; {choices(_fields(schema, keys[:-1]), str(keys[-1]))}"
    if error["type"] == "literal_error":
        return f"{field}: {given!r} is not a choice; {choices(_literals(context['expected']), str(given))}"
    if error["type"] == "value_error":
        return f"{field or schema.__name__}: {context['error']}" + (
            "" if isinstance(given, dict) else f", got {given!r}"
        )
    message = error["msg"].removeprefix("Input ")
    return f"{field}: {given!r} {message}"


def _literals(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected)


def _fields(schema: type[BaseModel], keys: list[Any]) -> list[str]:
    for key in keys:
        field = schema.model_fields.get(str(key))
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            break
        schema = kind
    return list(schema.model_fields)


class _UniqueKeys(yaml.SafeLoader):
    """A key written twice is an error, not a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key} twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
