"""What training an experiment would take: a dry run, for the images and cached features of a workspace."""

from skinlesion.data.augment import make_augmentation
from skinlesion.data.store import PREPARED_NAME, read_prepared
from skinlesion.models.fusion import image_features_of
from skinlesion.numbers import count
from skinlesion.params import TrainParams
from skinlesion.results.workspace import Workspace
from skinlesion.training.device import device_line
from skinlesion.training.dry_run import dry_run
from skinlesion.training.features import PLAIN, FeatureRequest, View, cached_views

#: HAM10000's images: what is assumed before `prepare` has counted.
_IMAGES = 10_015


def estimate(workspace: Workspace, settings: TrainParams, name: str) -> str:
    """Return in words the device, shapes, parameters, memory and time of an experiment, without training it.

    Raises:
        UserError: the device is not there, an unknown backbone, or settings it cannot serve.
    """
    path = workspace.prepared / PREPARED_NAME
    images, cached, source = _IMAGES, 0, "HAM10000's, nothing is prepared here"
    if path.exists():
        described = read_prepared(workspace.prepared)
        images, source = described["images"], "as prepared"
        kind = image_features_of(settings.fusion)
        view = PLAIN if settings.views == 1 else View("augmented", 0, make_augmentation(settings.augment))
        request = FeatureRequest(
            settings.precision, settings.device, kind, settings.spatial_grid, view, settings.tf32, settings.square
        )
        cached = cached_views(workspace.features, described["images_sha256"], settings.backbone, request)
    head = f"{device_line(settings.device)}\n{count(images, 'image')} ({source})"
    return f"{head}\n{dry_run(settings, name, images, cached)}"
