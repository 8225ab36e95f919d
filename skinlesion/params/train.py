"""The section `train` of params.yaml: one experiment's backbone, metadata, loss, augmentation and training."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from skinlesion.choices import (
    LARGEST_BATCH,
    MOST_EPOCHS,
    ClassWeights,
    Fusion,
    InputScaling,
    Loss,
    LossDivisor,
    MetadataEncoding,
    Monitor,
    Optimizer,
    Preset,
    Protocol,
    PublishedProtocol,
    RecordSource,
    Regime,
    Sampler,
    Schedule,
    Selection,
    Square,
    TestTimeAugmentation,
    names,
)
from skinlesion.folds import FOLDS
from skinlesion.params.section import (
    Cost,
    Distinct,
    Fold,
    ModelText,
    Probability,
    Repeat,
    Section,
    Seed,
    Strength,
    Width,
    check_costs,
)

#: Fields that say which runs there are, where and how they are carried out: experiments that differ in these alone are
#: one recipe.
RUN_FIELDS = frozenset({"folds", "seeds", "repeats", "checkpoint_seconds", "device", "processes"})

#: Fields of `AugmentParams` that change nothing by being set.
_HOW = ("preset", "scale", "scale_by_axis", "crop", "contrast_by_channel")


class AugmentParams(Section):
    """Random changes of training images: a preset, and what differs from it. A bare name means that preset."""

    preset: Preset = Field("none", description="Where the values left out come from.")
    flip: bool | None = Field(None, description="Mirror along either axis, each with probability 1/2.")
    rotate90: bool | None = Field(None, description="Turn by a multiple of 90 degrees.")
    rotation: Annotated[float, Field(ge=0, le=180)] | None = Field(None, description="Largest angle, in degrees.")
    # A list in YAML, which strict types would refuse.
    scale: Annotated[tuple[float, float], Field(strict=False)] | None = Field(
        None, description="Smallest and largest magnification."
    )
    scale_by_axis: bool | None = Field(None, description="Draw one magnification for each axis.")
    translation: Strength = Field(None, description="Largest shift, as a share of the side.")
    crop: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Smallest share of the area that a random square crop keeps; 1 crops nothing."
    )
    brightness: Strength = Field(None, description="Factor from 1 − x to 1 + x.")
    brightness_shift: Strength = Field(None, description="Largest amount added, as a share of white.")
    contrast: Strength = Field(None, description="Factor from 1 − x to 1 + x about the image's mean grey.")
    contrast_by_channel: bool | None = Field(None, description="Contrast about each channel's own mean.")
    saturation: Strength = Field(None, description="Factor from 1 − x to 1 + x.")
    hue: Annotated[float, Field(ge=0, le=0.5)] | None = Field(None, description="Largest turn of hue, in whole turns.")
    artifacts: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Share of images onto which hairs, ruler marks or gel bubbles are drawn."
    )
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
            and not any(value for name, value in self if name not in _HOW)
            and self.scale in (None, (1.0, 1.0))
            and self.crop in (None, 1.0)
        )


class TuneParams(Section):
    """A grid that every run tries in full, on its own training part, and picks from by its own validation part."""

    lr: Annotated[list[Annotated[float, Field(gt=0, le=10)]], Distinct] = Field(
        [], max_length=100, description="Learning rates; empty: lr alone."
    )
    weight_decay: Annotated[list[Annotated[float, Field(ge=0, le=10)]], Distinct] = Field(
        [], max_length=100, description="Weight decays (with optimizer adam an L2 penalty); empty: weight_decay alone."
    )


class TrainParams(Section):
    """What is trained, on what and how: the settings that experiments change."""

    # What sees the image
    backbone: ModelText = Field("tf_efficientnet_lite0", description="Name of a timm model, tag included.")
    weights: ModelText = Field(
        "imagenet",
        description="imagenet (pip-installed, else the model hub), none (random), or a .safetensors file.",
    )
    input_size: Annotated[int, Field(ge=32, le=1024)] | None = Field(
        None, description="Side of the backbone's input in pixels; null takes the backbone's own."
    )
    square: Square = Field(
        "crop",
        description="What is seen of a frame that is not square: its centre, all of it squeezed (antialiased, or "
        "interpolated plainly as TensorFlow does), or all of it between black bars.",
    )
    input_scaling: InputScaling = Field(
        "backbone",
        description="Mean and deviation that the backbone's weights expect, or p3's error: no mean taken off, values "
        "255 times too small, channels reversed.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="Arithmetic of the backbone; bf16 changes results, so it is never automatic."
    )
    tf32: bool = Field(
        False, description="Allow TensorFloat-32 on a GPU: fp32 with 10 bits after the point instead of 23, faster."
    )
    compile: bool = Field(False, description="Compile the fine-tuned network with torch.compile.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a CUDA device where there is one.")

    processes: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Runs trained at the same time on each GPU, or on the CPU, whose cores they share."
    )

    # Which images, which runs
    protocol: Protocol = Field(
        "lesion",
        description="Which split: by lesion (honest), by image (leaky, as published projects did), or the very images "
        "of published projects, fold 0 alone (published_80_20 selects on the images it reports).",
    )
    folds: Annotated[list[Fold], Distinct] = Field(
        [0], min_length=1, description=f"Test folds to run, out of 0 to {FOLDS - 1}."
    )
    seeds: Annotated[list[Seed], Distinct] = Field(
        [0], min_length=1, max_length=1000, description="Training seeds to run for each fold."
    )
    repeats: Annotated[list[Repeat], Distinct] = Field(
        [0], min_length=1, description="Partitions to run every fold and seed on, out of 0 to split.repeats − 1."
    )
    injected: Annotated[int, Field(ge=0, le=3)] | None = Field(
        None,
        description="The effect of leakage: test one image of each lesion that has several, and train on up to this "
        "many of the lesion's others, in the place of as many images of its class; null tests and trains on all.",
    )

    # What sees age, sex and localization
    fusion: Fusion = Field("none", description="How metadata joins the image; metadata_only leaves the image out.")
    records: RecordSource = Field(
        "own", description="Whose record an image is shown with; permuted, a placebo: another training lesion's."
    )
    metadata: MetadataEncoding = Field("onehot", description="How age, sex and localization become numbers.")
    age: Literal["continuous", "binned"] = Field(
        "continuous", description="Age as a number with a missing flag, or as a ten-year bin (embedding only)."
    )
    embedding_width: Width = Field(8, description="Numbers each category is embedded in (embedding only).")
    metadata_hidden: list[Width] = Field([32, 16], max_length=16, description="Widths of the metadata MLP.")
    metadata_batch_norm: bool | Annotated[int, Field(ge=0, le=16)] = Field(
        False, description="Batch normalisation after the metadata MLP's first layer, or after its first ones."
    )
    metadata_layer_dropout: list[Probability] = Field(
        [],
        max_length=16,
        description="Dropout after each of the metadata MLP's first layers.",
    )
    metadata_dropout: Probability = Field(0.0, description="Dropout after the metadata MLP.")
    record_dropout: Probability = Field(0.0, description="Share of training records shown with every field missing.")
    field_dropout: Probability = Field(0.0, description="Share of each field shown as missing during training.")
    attention_width: Width = Field(128, description="Width of queries, keys and values (cross_attention).")
    attention_heads: int = Field(4, ge=1, le=64, description="Attention heads; divides attention_width.")
    spatial_grid: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="Pool spatial features to at most this many cells per side; null keeps the backbone's map."
    )

    # The head
    image_hidden: list[Width] = Field(
        [], max_length=16, description="Widths of dense layers on image features, before fusion."
    )
    head_hidden: list[Width] = Field(
        [], max_length=16, description="Widths of dense layers between fusion and softmax."
    )
    dropout: Probability = Field(0.2, description="Dropout on the pooled image features.")
    fusion_dropout: Probability = Field(0.0, description="Dropout on the fused features.")
    head_dropout: Probability = Field(0.2, description="Dropout after each dense layer of the head.")

    # What is minimised, and on which images
    loss: Loss = Field("cross_entropy", description="The training loss.")
    class_weights: ClassWeights = Field(
        "balanced", description="Weights of classes: none, n / (classes × count), or by effective number."
    )
    effective_beta: float = Field(0.999, ge=0, lt=1, description="β of the effective number (1 − βⁿ) / (1 − β).")
    loss_divisor: LossDivisor = Field(
        "weights", description="What a batch's loss is divided by: the sum of its class weights, or its images (Keras)."
    )
    label_smoothing: Probability = Field(0.0, description="Share of each label spread over all classes.")
    focal_gamma: float = Field(2.0, ge=0, le=20, description="γ of the focal loss; 0 is cross-entropy.")
    cost_weight: float = Field(1.0, ge=0, le=1e3, description="λ of cross-entropy + λ · expected cost.")
    costs: dict[str, dict[str, Cost]] = Field(
        {}, description="True class → answer → cost of that mistake; mistakes not listed cost 1."
    )
    adjustment_tau: float = Field(1.0, ge=0, le=10, description="τ of the logit adjustment τ · log prior.")
    sampler: Sampler = Field(
        "shuffle",
        description="An epoch: every image once, classes equally often, one image per lesion, or groups of age band "
        "and sex equally often.",
    )
    augment: AugmentParams = Field(AugmentParams(), description="A preset's name, or a mapping of what differs.")
    views: int = Field(1, ge=1, le=64, description="Augmented versions of every image that frozen features hold.")

    # How it is minimised: the head on frozen features (frozen, first phase of two_stage) …
    regime: Regime = Field("frozen", description="Backbone frozen; frozen, then fine-tuned; or fine-tuned at once.")
    optimizer: Optimizer = Field("adam", description="Optimiser.")
    lr: float = Field(1e-3, gt=0, le=10, description="Learning rate of the head phase.")
    weight_decay: float = Field(0.0, ge=0, le=10, description="Weight decay; biases and normalisation are exempt.")
    tune: TuneParams = Field(
        TuneParams(), description="Rates and decays to try in the place of lr and weight_decay; empty tries nothing."
    )
    batch_size: int = Field(256, ge=1, le=LARGEST_BATCH, description="Images per step in the head phase.")
    epochs: int = Field(40, ge=1, le=MOST_EPOCHS, description="Most epochs of the head phase.")
    patience: int = Field(
        5, ge=1, le=MOST_EPOCHS, description="Epochs without a better validation value before stopping."
    )
    monitor: Monitor = Field(
        "loss",
        description="The validation value that stops training and picks the weights; nll: without class weights.",
    )
    select: Selection = Field(
        "best", description="The weights kept of each phase: of its best epoch, or of the last of all (no early stop)."
    )

    # … and all layers, or the last stages (full, second phase of two_stage)
    trainable_stages: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="How many of the backbone's last stages are fine-tuned; null is all layers."
    )
    batch_norm: Literal["train", "frozen"] = Field(
        "train", description="Whether batch statistics of fine-tuned layers follow the data or stay as they were."
    )
    batch_norm_momentum: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Weight of a new batch in batch statistics (Keras' 0.99 is 0.01); null: the network's own."
    )
    resolutions: list[Annotated[int, Field(ge=32, le=1024)]] = Field(
        [],
        description="Sides of training images, one after the other in equal shares of the epochs of fine-tuning; "
        "empty: input_size throughout. Validation and prediction always take input_size.",
    )
    finetune_lr: float = Field(1e-4, gt=0, le=10, description="Learning rate of fine-tuning.")
    layer_decay: float = Field(1.0, gt=0, le=1, description="Factor on the learning rate per block away from the head.")
    finetune_batch_size: int = Field(32, ge=1, le=LARGEST_BATCH, description="Images per step of fine-tuning.")
    finetune_epochs: int = Field(20, ge=1, le=MOST_EPOCHS, description="Most epochs of fine-tuning.")
    finetune_patience: int = Field(5, ge=1, le=MOST_EPOCHS, description="As patience, for fine-tuning.")
    finetune_select: Selection | None = Field(None, description="As select, for fine-tuning; null: the same.")

    # Both phases
    schedule: Schedule = Field("constant", description="Course of the learning rate over a phase.")
    warmup_epochs: float = Field(0.0, ge=0, le=1000, description="Epochs of linear warm-up.")
    restart_epochs: float = Field(10.0, gt=0, le=10_000, description="Length of the first cosine of warm_restarts.")
    clip_norm: Annotated[float, Field(gt=0, le=1e6)] | None = Field(None, description="Largest norm of the gradient.")
    ema_decay: Probability = Field(0.0, description="Decay per step of the weights' moving average; 0 is off.")

    # Prediction and bookkeeping
    tta: TestTimeAugmentation = Field(
        "none",
        description="Test-time augmentation: mean probability over the 8 flips and quarter turns, or over these of the "
        "whole image and of its middle.",
    )
    checkpoint_seconds: float = Field(
        15.0, ge=0, le=1e9, description="Least time between checkpoints of a run; 0 writes one every epoch."
    )

    @field_validator("folds", "seeds", "repeats")
    @classmethod
    def _in_order(cls, values: list[int]) -> list[int]:
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
            raise ValueError("fusion metadata_only has no backbone to fine-tune; use regime frozen")
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
            raise ValueError("augment.mixup and augment.cutmix blend pixels; use regime two_stage or full")
        if self.resolutions and not self.fine_tunes:
            raise ValueError("resolutions are those of fine-tuning; use regime two_stage or full")
        if len(self.resolutions) > self.finetune_epochs:
            raise ValueError(
                f"resolutions are {len(self.resolutions)}, more than finetune_epochs {self.finetune_epochs}"
            )
        if (self.tune.lr or self.tune.weight_decay) and self.regime != "frozen":
            raise ValueError(f"tune tries settings of the head alone, not of regime {self.regime}; use regime frozen")
        if self.records == "permuted" and not self.uses_metadata:
            raise ValueError("records permuted needs metadata; use a fusion other than none")
        if self.injected is not None and self.protocol != "lesion":
            raise ValueError(f"injected {self.injected} puts the leak into a split by lesion; use protocol lesion")
        if self.protocol in names(PublishedProtocol) and (self.folds != [0] or self.repeats != [0]):
            raise ValueError(f"protocol {self.protocol} has one fold and no repeats; set folds: [0] and repeats: [0]")
        if len(self.repeats) > 1 and len(self.folds) < FOLDS:
            raise ValueError(
                f"repeats {self.repeats} need all {FOLDS} folds, because a fold of another partition tests other images"
            )
        return self

    @property
    def candidates(self) -> "list[TrainParams]":
        """Return the settings that a run tries: these alone, or one for each place of the grid `tune`."""
        return [
            self.model_copy(update={"lr": lr, "weight_decay": decay})
            for lr in self.tune.lr or [self.lr]
            for decay in self.tune.weight_decay or [self.weight_decay]
        ]

    @property
    def uses_metadata(self) -> bool:
        return self.fusion != "none"

    @property
    def fine_tunes(self) -> bool:
        return self.regime != "frozen"
