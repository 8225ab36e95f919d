"""The plan of a comparison, fixed before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skinlesion.params import StatsParams
from skinlesion.stats.bootstrap import enough_replicates

_REPLICATES = 10_000


@dataclass(frozen=True)
class Plan:
    """What is compared and how it is judged.

    Attributes:
        metrics: names of the metrics compared; the first rows of a pair are about `primary`.
        further: metrics of single pairs, in either order of the pair, beside those; claims name them.
        margins: the smallest difference that matters, by metric; a metric without one is judged by direction alone.
        confidence: of intervals; 1 − confidence is the level of every family of tests.
        replicates: of the bootstrap that stands beside the t intervals; 0 leaves it out; None is what
            `replicates_for` says.
        permutations: of the permutation test of the primary metric; 0 leaves it out.
        one_sided: level of each one-sided test against a margin; None is (1 − confidence) / 2, that of the interval.
        naive: whether rows that ignore lesions stand beside, to show the difference.
        test_per_training: images of a test fold per training image, for the t-test over folds; None leaves it out.
    """

    metrics: tuple[str, ...]
    primary: str
    margins: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.95
    replicates: int | None = None
    seed: int = 0
    permutations: int = 0
    one_sided: float | None = None
    naive: bool = True
    further: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    test_per_training: float | None = None

    def metrics_of(self, a: str, b: str) -> tuple[str, ...]:
        """Return the metrics by which a pair is compared."""
        return tuple(dict.fromkeys([*self.metrics, *self.further.get((a, b), ()), *self.further.get((b, a), ())]))

    def replicates_for(self, images: int) -> int:
        """Return the replicates of a comparison of so many images.

        Unless the plan says another number it is 10,000, or fewer of more than 20,000 images.
        """
        return enough_replicates(_REPLICATES, images) if self.replicates is None else self.replicates


def plan_from(settings: StatsParams, **overrides: Any) -> Plan:
    """Return the plan that the section `stats` of params.yaml fixes.

    Args:
        overrides: attributes of `Plan` that are not as the section has them.
    """
    fields: dict[str, Any] = {
        "metrics": tuple(settings.metrics),
        "primary": settings.primary,
        "margins": {str(name): margin for name, margin in settings.margins.items()},
        "confidence": settings.confidence,
        "replicates": settings.replicates,
        "seed": settings.seed,
        "permutations": settings.permutations,
        "one_sided": settings.one_sided,
    }
    return Plan(**fields | overrides)
