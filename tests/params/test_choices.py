"""Every name that params.yaml may choose has its implementation, and every implementation can be chosen."""

import importlib.util

import numpy as np
import pytest
import torch

from skinlesion import choices
from skinlesion.choices import listed, names


def _registries():
    from skinlesion.data.augment import PRESETS
    from skinlesion.evaluation.registry import METRICS, MONITORED, SCHEMA
    from skinlesion.models.fusion import FUSIONS
    from skinlesion.models.metadata_encoders import ENCODERS
    from skinlesion.tracking.trackers import LIVE_TRACKERS, TRACKERS

    return {
        choices.Preset: PRESETS,
        choices.Fusion: FUSIONS,
        choices.MetadataEncoding: ENCODERS,
        choices.Metric: set(METRICS) & set(SCHEMA.metrics()),
        choices.ClassMetric: {name for name, metric in METRICS.items() if metric.per_class},
        choices.Monitor: MONITORED,
        choices.Tracker: TRACKERS,
        choices.LiveTracker: LIVE_TRACKERS,
    }


@pytest.mark.parametrize(("choice", "registry"), [(choice, sorted(known)) for choice, known in _registries().items()])
def test_a_registry_has_the_names_of_its_choice_and_no_other(choice, registry):
    assert registry == sorted(names(choice))


@pytest.mark.parametrize("name", names(choices.Source))
def test_every_source_is_a_module(name):
    assert importlib.util.find_spec(f"skinlesion.data.sources.{name}") is not None


@pytest.mark.parametrize("name", names(choices.Fusion))
def test_every_fusion_is_built(name):
    from skinlesion.models.fusion import image_features_of

    expected = {"metadata_only": "none", "cross_attention": "map", "metablock": "map"}
    assert image_features_of(name) == expected.get(name, "pooled")


@pytest.mark.parametrize("name", names(choices.Loss))
def test_every_loss_is_built(name):
    from skinlesion.models.losses import make_loss
    from skinlesion.params import TrainParams

    loss = make_loss(TrainParams(loss=name), torch.full((7,), 10))
    right, wrong = loss(6 * torch.eye(7)[:2], torch.eye(7)[:2])[0], loss(6 * torch.eye(7)[1:3], torch.eye(7)[:2])[0]
    assert (right < wrong).all()


@pytest.mark.parametrize("name", names(choices.ClassWeights))
def test_all_class_weights_are_known(name):
    from skinlesion.models.losses import class_weights

    weights = class_weights(name, torch.arange(1, 8))
    assert weights.shape == (7,)
    assert bool((weights[:-1] > weights[1:]).all()) == (name != "none")  # rarer classes weigh more


@pytest.mark.parametrize("name", names(choices.Sampler))
def test_every_sampler_orders_an_epoch(name):
    from skinlesion.data.sampling import epoch_order

    assert len(epoch_order(name, torch.tensor([0, 1, 1]), torch.tensor([0, 1, 2]), torch.tensor([0, 0, 1]))) == 3


@pytest.mark.parametrize("name", names(choices.Optimizer))
def test_every_optimizer_is_built(name):
    from skinlesion.training.optimizer import _KINDS

    assert sorted(_KINDS) == sorted(names(choices.Optimizer))
    assert issubclass(_KINDS[name], torch.optim.Optimizer)


@pytest.mark.parametrize("name", names(choices.Schedule))
def test_every_schedule_starts_at_one(name):
    from skinlesion.training.schedule import learning_rate_factor

    assert learning_rate_factor(name, 0, 10) == 1


def test_every_calibration_and_ensemble_method_is_known():
    from skinlesion.evaluation.ensembles import member_weights
    from skinlesion.evaluation.recalibration import fit_calibrator

    random = np.random.default_rng(0)
    labels, probabilities = np.arange(70) % 7, random.dirichlet(np.ones(7), (2, 70))
    for name in names(choices.EnsembleMethod):
        assert member_weights(name, labels, probabilities).sum() == pytest.approx(1)
    for name in names(choices.Calibration):
        assert fit_calibrator(name, labels, probabilities[0]).apply(probabilities[0]).shape == (70, 7)


def test_every_cam_method_is_known():
    from skinlesion.interpret.cam import _LIBRARY

    assert sorted([*_LIBRARY, "rollout"]) == sorted(names(choices.CamMethod))


def test_choices_are_listed_in_words():
    assert listed(choices.DrawnProtocol) == "lesion or image"
    assert listed(choices.Regime) == "frozen, two_stage or full"
