"""The sections of the report in their order, one module each with its template beside it.

To add one, write a module with a function `Results -> Section | None` and name it in `SECTIONS`: contents, anchors and
figures follow.
"""

from skinlesion.report.section import Make
from skinlesion.report.sections.assessment import assessment
from skinlesion.report.sections.claims import claims
from skinlesion.report.sections.comparisons import comparisons
from skinlesion.report.sections.confusion import confusion
from skinlesion.report.sections.data import data
from skinlesion.report.sections.effect import effect
from skinlesion.report.sections.explanations import explanations
from skinlesion.report.sections.external import external
from skinlesion.report.sections.flips import flips
from skinlesion.report.sections.gains import gains
from skinlesion.report.sections.limits import limits
from skinlesion.report.sections.metadata import metadata
from skinlesion.report.sections.own_rules import own_rules
from skinlesion.report.sections.pairs import pairs
from skinlesion.report.sections.participants import participants
from skinlesion.report.sections.power import power
from skinlesion.report.sections.provenance import provenance
from skinlesion.report.sections.published import published
from skinlesion.report.sections.systems import systems
from skinlesion.report.sections.training import training
from skinlesion.report.sections.variance import variance

SECTIONS: list[Make] = [
    claims,
    effect,
    gains,
    participants,
    data,
    published,
    systems,
    pairs,
    own_rules,
    comparisons,
    flips,
    training,
    confusion,
    assessment,
    metadata,
    explanations,
    external,
    variance,
    power,
    limits,
    provenance,
]
