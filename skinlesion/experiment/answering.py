"""A model that answers about photographs: its probabilities with all that a reader must know to judge them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.patient_records import any_known
from skinlesion.experiment.predictor import Predictor
from skinlesion.interpret.neighbours import Neighbours
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

#: A photograph is unlike the training images where it is farther from them than this percentage of them is from the
#: others: so is one in a hundred of the photographs that are like them.
UNLIKE_FROM = 99.0

#: Features of the training images are computed unasked where that takes at most so long, once.
MOST_SECONDS = 300.0


@dataclass(frozen=True)
class AnsweringModel:
    """An experiment's models, under its name, with the training images to compare photographs with."""

    name: str
    predictor: Predictor
    neighbours: Neighbours | None = None

    def rows(self, frames: Sequence[np.ndarray], records: pd.DataFrame) -> list[dict[str, Any]]:
        """Return what is answered about each of B frames (h, w, 3) uint8, one batch with B records.

        Keys of a row:
            experiment: this model's name; `sees` whether "image", "record" or "image and record".
            record: whether age, sex or localization of the patient is known.
            trained_on, synthetic: the source of the training images, and whether those are drawn images of nobody.
            unlike: percentage of training images that are nearer to the others than this one is; `unlike_training`
                says whether that is as much as `UNLIKE_FROM`. Both are None without `neighbours`.
            answer: the class that the evaluated rule gives.
            p_akiec … p_vasc, malignant: probabilities; at the share of malignant images that `malignant_prevalence`
                states, or not calibrated to any where that is None.
            set: classes that are not ruled out, None where the experiment was not assessed.
            called: rule → whether malignant by the threshold of that rule.
        """
        predictor = self.predictor
        images = predictor.inputs.squares(frames)
        unlike = None
        if self.neighbours is None:
            answers = predictor.answer(images, records)
        else:
            answers, features = predictor.answer_with_features(images, records)
            unlike = self.neighbours.percentile(features)
        has_record = any_known(records)
        prevalence = None if predictor.prevalence is None else predictor.prevalence.malignant
        return [
            {
                "experiment": self.name,
                "sees": predictor.sees,
                "record": bool(has_record[row]),
                "trained_on": predictor.source,
                "synthetic": predictor.synthetic,
                "unlike": None if unlike is None else float(unlike[row]),
                "unlike_training": None if unlike is None else bool(unlike[row] >= UNLIKE_FROM),
                "answer": CLASSES[answers.answers[row]],
                **{name: float(p) for name, p in zip(PROBABILITY_COLUMNS, answers.probabilities[row], strict=True)},
                "malignant": float(answers.malignant[row]),
                "malignant_prevalence": prevalence,
                "set": None
                if answers.sets is None
                else [CLASSES[position] for position in np.flatnonzero(answers.sets[row])],
                "called": {rule: bool(called[row]) for rule, called in answers.calls.items()},
            }
            for row in range(len(frames))
        ]
