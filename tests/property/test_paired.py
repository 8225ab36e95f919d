"""Properties of the statistics on any data: swapped models, permuted rows, monotone transforms of scores."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.mcnemar import mcnemar
from skinlesion.stats.multiplicity import holm
from skinlesion.stats.resampling import Schema
from skinlesion.stats.weighted_auc import plan_auc, weighted_auc
from skinlesion.vocabulary import CLASSES


@st.composite
def paired(draw):
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    count = draw(st.integers(8, 60))
    labels = rng.integers(0, 7, count)
    models = [np.round(rng.dirichlet(np.ones(7), size=(1, count)), draw(st.integers(2, 4))) for _ in range(2)]
    return labels, models, rng.integers(0, draw(st.integers(1, count)), count), rng.permutation(count)


SCHEMA = Schema(CLASSES)
METRICS = ["accuracy", "balanced_accuracy", "macro_f1"]


@settings(max_examples=40, deadline=None)
@given(paired())
def test_swapping_models_negates_the_difference_and_keeps_p(data):
    labels, (a, b), lesion, order = data
    forward_order = bootstrap(labels, [a, b], lesion, METRICS, schema=SCHEMA, replicates=100)
    reverse_order = bootstrap(labels, [b, a], lesion, METRICS, schema=SCHEMA, replicates=100)
    shuffled = bootstrap(
        labels[order], [a[:, order], b[:, order]], lesion[order], METRICS, schema=SCHEMA, replicates=100
    )
    np.testing.assert_allclose(shuffled.replicates, forward_order.replicates, atol=1e-12)
    for metric in METRICS:
        forward, backward = forward_order.difference(0, 1, metric), reverse_order.difference(0, 1, metric)
        np.testing.assert_allclose(
            [forward.difference, forward.low, forward.high, forward.pvalue],
            [-backward.difference, -backward.high, -backward.low, backward.pvalue],
            atol=1e-12,
        )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(4, 50))
def test_auc_depends_on_ranks_alone_and_labels_mirror_it(seed, count):
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.4
    scores = rng.integers(0, 12, count) / 4
    lesion = rng.integers(0, count, count)
    weights = rng.integers(0, 4, (count, 5)).astype(np.float32)
    plain = weighted_auc(plan_auc(positive, scores, lesion, count), weights)
    np.testing.assert_allclose(weighted_auc(plan_auc(positive, np.exp(scores), lesion, count), weights), plain)
    np.testing.assert_allclose(weighted_auc(plan_auc(~positive, scores, lesion, count), weights), 1 - plain, atol=1e-12)
    # The definition: every pair of a positive and a negative image, ties half.
    image_weights = weights[lesion]
    for draw in range(5):
        w = image_weights[:, draw]
        concordant = (scores[positive][:, None] > scores[~positive]) + 0.5 * (
            scores[positive][:, None] == scores[~positive]
        )
        pairs = w[positive].sum() * w[~positive].sum()
        expected = w[positive] @ concordant @ w[~positive] / pairs if pairs else np.nan
        np.testing.assert_allclose(plain[draw], expected)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 2**31))
def test_mcnemar_is_symmetric_and_mid_p_never_exceeds_exact(flags, seed):
    a = np.array(flags)
    b = np.random.default_rng(seed).random(len(a)) < 0.5
    exact, mid = mcnemar(a, b, "exact").pvalue, mcnemar(a, b, "mid-p").pvalue
    assert 0 < mid <= exact <= 1
    assert mcnemar(b, a, "exact").pvalue == exact


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(values):
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
