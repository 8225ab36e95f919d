"""Plug-in calibration errors, Brier score and log loss, and the parts of the Brier score.

Plug-in calibration errors are above 0 for a calibrated model too; `rms_calibration` has one that is not.

References:
    [1] Guo C et al. On Calibration of Modern Neural Networks. ICML 2017, eq. 3 (ECE).
    [2] Nixon J et al. Measuring Calibration in Deep Learning. CVPR Workshops 2019 (equal-mass bins).
    [3] Kull M et al. Beyond temperature scaling. NeurIPS 2019 (classwise ECE).
    [4] Murphy AH. J Appl Meteorol 12, 595–600 (1973); Stephenson DB et al. Weather Forecast 23, 752–757 (2008).
    [5] Brier GW. Mon Weather Rev 78, 1–3 (1950).
    [6] Good IJ. J R Stat Soc B 14, 107–114 (1952) (log loss).
"""

import numpy as np

from skinlesion.evaluation.sums import SumStatistic, Totals, divide, mean, ratio, sparse_columns


def equal_width(values: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin (N,) of values in 0..1: (i/B, (i+1)/B], the first one closed, 1.0 in the last."""
    return np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)


def equal_mass(values: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin (N,) of values so that bins hold equally many images as far as ties allow."""
    edges = np.quantile(values, np.arange(1, bins) / bins)
    return np.searchsorted(edges, values, side="left")


def top_label(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest probability (N,) and whether the class that has it is the true one (N,) bool."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def calibration_error(confidence: np.ndarray, hit: np.ndarray, place: np.ndarray, bins: int) -> SumStatistic:
    """Return ECE in 0..1: Σ_b (n_b / n) |observed_b − confidence_b| [1, 2].

    Args:
        confidence: (N,) probabilities of an event.
        hit: (N,) whether the event occurred.
        place: (N,) the bin of each image, 0..bins-1.
    """
    columns = np.zeros((len(confidence), bins + 1))
    columns[np.arange(len(place)), place] = hit - confidence
    columns[:, bins] = 1
    return SumStatistic(columns, lambda totals: divide(np.abs(totals[..., :-1]).sum(axis=-1), totals[..., -1]))


def classwise_error(labels: np.ndarray, probabilities: np.ndarray, bins: int) -> SumStatistic:
    """Return classwise ECE in 0..1: the mean over classes of the ECE of that class's probability [3]."""
    images, classes = probabilities.shape
    places = [c * bins + equal_width(probabilities[:, c], bins) for c in range(classes)]
    places.append(np.full(images, classes * bins))
    values = np.column_stack([np.eye(classes)[labels] - probabilities, np.ones(images)])
    columns = sparse_columns(np.column_stack(places), values, classes * bins + 1)

    def function(totals: np.ndarray) -> np.ndarray:
        return divide(np.abs(totals[..., :-1]).sum(axis=-1), classes * totals[..., -1])

    return SumStatistic(columns, function)


def squared_errors(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return Σ_c (p_c − [c is true])² of each image (N,), in 0..2; their mean is the multi-class Brier score [5]."""
    errors: np.ndarray = ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1)
    return errors


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return −ln p(truth) of each image (N,) in nats; probabilities below 1e-12 count as 1e-12 [6]."""
    losses: np.ndarray = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, 1))
    return losses


def brier(labels: np.ndarray, probabilities: np.ndarray) -> SumStatistic:
    """Return the multi-class Brier score in 0..2 [5]."""
    return mean(squared_errors(labels, probabilities))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> SumStatistic:
    """Return the mean of −ln p(truth) in nats."""
    return mean(log_losses(labels, probabilities))


def observed_to_expected(positive: np.ndarray, scores: np.ndarray) -> SumStatistic:
    """Return cases over the sum of their probabilities: 1 where risks are right on average, above 1 where too low."""
    return ratio(positive, scores)


def brier_parts(labels: np.ndarray, probabilities: np.ndarray, bins: int) -> dict[str, SumStatistic]:
    """Return `reliability`, `resolution`, `uncertainty` and `within_bins`, each summed over the classes [4].

    Brier score = reliability − resolution + uncertainty + within_bins, exactly: within_bins is the effect of the
    spread of probabilities inside the (equal-width) bins.
    """
    images, classes = probabilities.shape
    truth = np.eye(classes)[labels]
    kinds = [np.ones_like(truth), truth, probabilities]  # of each bin of each class: images, cases, probabilities
    width = len(kinds) * classes * bins
    place = np.column_stack([c * bins + equal_width(probabilities[:, c], bins) for c in range(classes)])
    places = [kind * classes * bins + place for kind in range(len(kinds))]
    squared = ((probabilities - truth) ** 2).sum(axis=1)
    columns = sparse_columns(
        np.column_stack([*places, np.full(images, width)]), np.column_stack([*kinds, squared]), width + 1
    )

    def parts(totals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        table = totals[..., :-1].reshape(*totals.shape[:-1], 3, classes, bins)
        count, cases, predicted = np.moveaxis(table, -3, 0)
        total = count.sum(axis=-1, keepdims=True)  # (…, C, 1)
        share, base = np.divide(count, total), cases.sum(axis=-1, keepdims=True) / total
        filled = np.maximum(count, 1)
        observed, forecast = cases / filled, predicted / filled
        reliability = (share * (forecast - observed) ** 2).sum(axis=(-1, -2))
        resolution = (share * (observed - base) ** 2).sum(axis=(-1, -2))
        uncertainty = (base * (1 - base)).sum(axis=(-1, -2))
        score = totals[..., -1] / total[..., 0, 0]
        return reliability, resolution, uncertainty, score - (reliability - resolution + uncertainty)

    def part(place: int) -> Totals:
        return lambda totals: parts(totals)[place]

    names = ("reliability", "resolution", "uncertainty", "within_bins")
    return {name: SumStatistic(columns, part(place)) for place, name in enumerate(names)}
