"""Training the recipe again: moments by hand, identities, and coverage by simulation of trainings and lesions."""

import numpy as np
import pytest
from scipy import stats as sps

from skinlesion.stats.influence import contrast, influences
from skinlesion.stats.linear_estimate import LinearEstimate, paired_contrast
from skinlesion.stats.recipe import describe_trainings, interaction_variance, recipe, training_variance
from skinlesion.stats.resampling import Schema
from skinlesion.stats.variance import variance_budget

TWO_CLASSES = Schema(("benign", "malignant"))
SEEDS = [(0, 0), (0, 1), (0, 2)]
PARTITIONS = [(repeat, 10 * repeat + seed) for repeat in range(3) for seed in range(3)]


def normal_effects(rng, trainings, lesions=60, training=0.15, interaction=1.0):
    """Return the mean over trainings of lesions' values: truth 0, lesions' standard deviation 1, others as given."""
    repeats = np.array([repeat for repeat, _ in trainings])
    layers = rng.normal(size=lesions) + interaction * rng.normal(size=(len(trainings), lesions))
    _, repeat_index = np.unique(repeats, return_inverse=True)
    partition_effect = rng.normal(size=repeat_index.max() + 1)[repeat_index] * (
        repeat_index.max() > 0
    )  # one is no sample of them
    layers += training * (partition_effect + rng.normal(size=len(trainings)))[:, None]
    values = layers.mean(axis=1)
    influence = (layers - values[:, None]) / lesions
    stratum = np.zeros(lesions, dtype=int)
    return LinearEstimate(
        float(values.mean()), influence.mean(axis=0), stratum, by_layer=values, layer_influence=influence
    )


def test_the_training_part_by_hand():
    # Three seeds of one partition: s²/3 with 2 degrees. Two partitions, means 2 and 5: (9/2) / 2 with one.
    assert training_variance(np.array([1.0, 2.0, 6.0]), np.zeros(3)) == (pytest.approx(7 / 3), 2)
    assert training_variance(np.array([1.0, 3.0, 4.0, 6.0]), np.array([0, 0, 1, 1])) == (pytest.approx(9 / 4), 1)
    # Unequal: shares 1/3 and 2/3, means 3 and 6, weighted mean 5: 2/1 · (4/9 · 1 + 1/9 · 4).
    assert training_variance(np.array([3.0, 5.0, 7.0]), np.array([0, 1, 1])) == (pytest.approx(2 * 8 / 9), 1)
    assert training_variance(np.array([3.0]), np.zeros(1)) is None
    # Influences (1, −1) and (3, −3) on two lesions: s² = 2 each, / 2 trainings, times the factor 2 / 1 of two lesions.
    interaction = interaction_variance(np.array([[1.0, -1.0], [3.0, -3.0]]), np.zeros(2), np.zeros(2, dtype=int))
    assert interaction == pytest.approx((1 + 1) * 2)


def test_the_sum_of_parts_by_hand():
    influence = np.tile([0.03, -0.01, -0.02], 4)
    layers = np.array([0.1, 0.2, 0.6])
    estimate = LinearEstimate(0.3, influence, np.zeros(12, dtype=int), by_layer=layers)
    result = recipe([1], [estimate], [SEEDS])
    lesion, training = 12 / 11 * 0.0056, layers.var(ddof=1) / 3
    assert (result.lesion, result.training, result.shared) == (pytest.approx(lesion), pytest.approx(training), 0)
    degrees = (lesion + training) ** 2 / (lesion**2 / 11 + training**2 / 2)
    assert result.degrees == pytest.approx(degrees)
    half_width = sps.t.ppf(0.975, degrees) * np.sqrt(lesion + training)
    assert result.interval() == (pytest.approx(0.3 - half_width), pytest.approx(0.3 + half_width))
    assert result.pvalue(0.3 - half_width) == pytest.approx(0.05)
    assert result.trainings == "3 seeds on one partition"
    equal_layers = LinearEstimate(0.3, influence, estimate.stratum, by_layer=np.array([0.3, 0.3001, 0.2999]))
    assert recipe([1], [equal_layers], [SEEDS]).degrees == pytest.approx(11)  # never more than of these trainings alone


def test_an_interaction_counts_once_and_no_part_is_undercut():
    rng = np.random.default_rng(0)
    estimate = normal_effects(rng, SEEDS, training=0.05, interaction=2.0, lesions=4000)
    result = recipe([1], [estimate], [SEEDS])
    assert result.shared == pytest.approx(2**2 / 3 / 4000, rel=0.1)
    assert result.variance == max(result.lesion + result.training - result.shared, result.lesion, result.training)
    without = recipe(
        [1], [LinearEstimate(0.0, estimate.influence, estimate.stratum, by_layer=estimate.by_layer)], [SEEDS]
    )
    assert without.variance == pytest.approx(result.lesion + result.training)


@pytest.mark.parametrize(("trainings", "old"), [(SEEDS, 0.92), (PARTITIONS, 0.92)])
def test_coverage_of_training_again(trainings, old):
    """93 to 97 % where trainings vary as the lesions do; the lesions alone cover less, as did resampled seeds."""
    covered, conditional = 0, 0
    count = 1000
    for number in range(count):
        estimate = normal_effects(np.random.default_rng(number), trainings)
        low, high = recipe([1], [estimate], [trainings]).interval()
        covered += low <= 0 <= high
        low, high = estimate.interval()
        conditional += low <= 0 <= high
    assert 0.93 <= covered / count <= 0.97
    assert conditional / count < old


def predictions(rng, trainings, labels, common):
    """Return layers (S, N, 2) of a model whose trainings shift its scores."""
    scores = 1.5 * (labels - 0.5) + common + rng.normal(size=(len(trainings), len(labels)))
    share = 1 / (1 + np.exp(-(scores + 0.3 * rng.normal(size=(len(trainings), 1)))))
    return np.stack([1 - share, share], axis=2)


def estimates(models, seed=0, trainings=SEEDS):
    rng = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(120), rng.integers(1, 3, 120))
    labels = (rng.random(120) < 0.4).astype(int)[lesion]
    common = rng.normal(size=120)[lesion]
    metrics = ["balanced_accuracy", "accuracy", "macro_auc"]
    return [
        influences(labels, predictions(rng, trainings, labels, common), lesion, metrics, TWO_CLASSES, by_layer=True)
        for _ in range(models)
    ]


def test_the_same_trainings_are_paired_in_any_order_and_others_add_up():
    a, b = (model["balanced_accuracy"] for model in estimates(2))
    paired = recipe([-1, 1], [a, b], [SEEDS, SEEDS])
    assert paired.value == pytest.approx(b.value - a.value)
    assert paired.lesion == pytest.approx(contrast([-1, 1], [a, b]).variance)
    assert paired.training == pytest.approx((b.by_layer - a.by_layer).var(ddof=1) / 3)
    order = [2, 0, 1]
    shuffled = LinearEstimate(
        b.value, b.influence, b.stratum, by_layer=b.by_layer[order], layer_influence=b.layer_influence[order]
    )
    permuted = recipe([-1, 1], [a, shuffled], [SEEDS, [SEEDS[i] for i in order]])
    assert (permuted.variance, permuted.degrees) == (pytest.approx(paired.variance), pytest.approx(paired.degrees))
    others = [(0, 7), (0, 8), (0, 9)]
    unpaired = recipe([-1, 1], [a, b], [SEEDS, others])
    assert unpaired.training == pytest.approx((a.by_layer.var(ddof=1) + b.by_layer.var(ddof=1)) / 3)
    assert unpaired.lesion == pytest.approx(paired.lesion)
    assert unpaired.shared == pytest.approx(recipe([1], [a], [SEEDS]).shared + recipe([1], [b], [others]).shared)
    mirrored = recipe([-1, 1], [b, a], [SEEDS, SEEDS])
    assert mirrored.interval() == (pytest.approx(-paired.interval()[1]), pytest.approx(-paired.interval()[0]))


def test_a_model_of_one_training_has_no_training_part():
    a, b = (model["balanced_accuracy"] for model in estimates(2))
    single = LinearEstimate(b.value, b.influence, b.stratum, by_layer=b.by_layer[:1])
    assert recipe([1], [single], [[(0, 4)]]) is None
    assert recipe([-1, 1], [a, single], [SEEDS, [(0, 0)]]) is None
    with pytest.raises(ValueError, match="stands twice"):
        recipe([1], [a], [[(0, 0), (0, 0), (0, 1)]])
    with pytest.raises(ValueError, match="do not fit"):
        recipe([1], [a], [SEEDS[:2]])


def test_a_models_own_metric_keeps_its_scale():
    model = estimates(1)[0]
    for metric, scale in {"accuracy": "proportion", "macro_auc": "logit"}.items():
        result = recipe([1], [model[metric]], [SEEDS])
        low, high = result.interval()
        assert result.estimate.scale == scale
        assert 0 < low <= model[metric].interval()[0] < model[metric].interval()[1] <= high < 1
        assert result.pvalue(low) == pytest.approx(0.05)


def test_differences_of_differences_pair_what_belongs_together():
    a, b, c, d = (model["balanced_accuracy"] for model in estimates(4))
    leaky = [(1, 0), (1, 1), (1, 2)]
    result = recipe([-1, 1, 1, -1], [a, b, c, d], [SEEDS, SEEDS, leaky, leaky])
    parts = [(b.by_layer - a.by_layer).var(ddof=1) / 3, (c.by_layer - d.by_layer).var(ddof=1) / 3]
    assert result.training == pytest.approx(sum(parts))
    assert result.lesion == pytest.approx(contrast([-1, 1, 1, -1], [a, b, c, d]).variance)


def test_what_is_undefined_stays_undefined():
    a = estimates(1)[0]["accuracy"]
    undefined = LinearEstimate(0.5, a.influence, a.stratum, by_layer=a.by_layer, undefined="one lesion: no variance")
    result = recipe([1], [undefined], [SEEDS])
    assert np.isnan([result.variance, *result.interval(), result.pvalue()]).all()


@pytest.mark.parametrize(
    ("trainings", "words"),
    [
        ([(0, 5)], "one training"),
        (SEEDS, "3 seeds on one partition"),
        (PARTITIONS, "3 partitions with 3 seeds each"),
        ([(0, 1), (1, 2)], "2 partitions with one seed each"),
        ([(0, 1), (0, 2), (1, 3)], "3 trainings on 2 partitions"),
    ],
)
def test_trainings_in_words(trainings, words):
    assert describe_trainings(trainings) == words


def test_a_variance_budget_by_moments():
    a, b = (model["balanced_accuracy"] for model in estimates(2))
    difference = paired_contrast([-1, 1], [a, b])
    expected = recipe([1], [difference], [SEEDS])
    by_fold = difference.value + np.array([-0.2, 0.2, 0.0, 0.4, -0.4])
    budget = variance_budget(difference, SEEDS, by_fold)
    assert budget.seed == pytest.approx((b.by_layer - a.by_layer).var(ddof=1))
    assert budget.lesion == pytest.approx(contrast([-1, 1], [a, b]).variance)
    assert budget.fold == pytest.approx(by_fold.var(ddof=1) / 5 - budget.lesion)
    assert budget.total == expected.variance
    assert (budget.low, budget.high) == expected.interval()
    single = paired_contrast(
        [-1, 1], [LinearEstimate(m.value, m.influence, m.stratum, by_layer=m.by_layer[:1]) for m in (a, b)]
    )
    alone = variance_budget(single, SEEDS[:1], np.array([0.03]))
    assert (alone.seed, alone.fold, alone.seeds_needed) == (None, None, None)
    assert (alone.total, alone.low) == (alone.lesion, pytest.approx(single.interval()[0]))


def test_a_variance_budget_of_partitions_pools_their_seeds():
    estimate = normal_effects(np.random.default_rng(3), PARTITIONS, training=0.5)
    budget = variance_budget(estimate, PARTITIONS, np.array([0.0]))
    seed_variance = estimate.by_layer.reshape(3, 3).var(axis=1, ddof=1).mean()
    assert budget.seed == pytest.approx(seed_variance)


def test_seeds_needed_are_the_fewest_that_leave_out_zero():
    estimate = normal_effects(np.random.default_rng(1), SEEDS, lesions=2000, training=0.1)
    shift = 0.2 - estimate.value
    estimate = LinearEstimate(
        0.2, estimate.influence, estimate.stratum,
        by_layer=estimate.by_layer + shift, layer_influence=estimate.layer_influence,
    )  # fmt: skip
    budget = variance_budget(estimate, SEEDS, np.array([0.2]))
    lesion_variance = budget.lesion - recipe([1], [estimate], [SEEDS]).shared

    def excludes_zero(seeds):
        part = budget.seed / seeds
        degrees = (lesion_variance + part) ** 2 / (lesion_variance**2 / 1999 + part**2 / (seeds - 1))
        return sps.t.ppf(0.975, degrees) * np.sqrt(lesion_variance + part) < 0.2

    assert budget.seeds_needed >= 2
    assert excludes_zero(budget.seeds_needed)
    assert budget.seeds_needed == 2 or not excludes_zero(budget.seeds_needed - 1)
    no_effect = LinearEstimate(
        0.001, estimate.influence, estimate.stratum,
        by_layer=estimate.by_layer, layer_influence=estimate.layer_influence,
    )  # fmt: skip
    assert variance_budget(no_effect, SEEDS, np.zeros(5)).seeds_needed is None
