"""The section `track` of params.yaml: what watches a training. No stage of dvc.yaml depends on it."""

from pydantic import Field

from skinlesion.choices import LiveTracker
from skinlesion.params.section import Section


class TrackParams(Section):
    """What is told of a training while it goes on; no result depends on it, and nothing is trained again for it."""

    live: LiveTracker | None = Field(None, description="The tracker that is told of every epoch; null for none.")
