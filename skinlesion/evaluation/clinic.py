"""Risks and net benefit where cases are as common as in a clinic, from data in which they are more or less so.

Both assume that cases look the same here and there, and others as well: only how many there are of each differs.

References:
    [1] Saerens M, Latinne P, Decaestecker C. Adjusting the outputs of a classifier to new a priori probabilities.
        Neural Computation 14, 21–41 (2002), eq. 2.4.
    [2] Vickers AJ, Elkin EB. Decision curve analysis. Med Decis Making 26, 565–574 (2006): net benefit by sensitivity,
        specificity and prevalence.
"""

import numpy as np

from skinlesion.evaluation.sums import SumStatistic, divide


def risk_in_clinic(risk: np.ndarray, base_rate: float, prevalence: float) -> np.ndarray:
    """Return risks (…,) in 0..1 with their odds moved from one prevalence to another [1].

    Args:
        risk: right where cases are as common as `base_rate`.
        base_rate: share of cases among the data that calibrated the risk; 0 and 1 move nothing.
        prevalence: share of cases in the clinic, above 0 and below 1.
    """
    if not 0 < base_rate < 1:
        return risk
    case, other = risk * prevalence / base_rate, (1 - risk) * (1 - prevalence) / (1 - base_rate)
    return np.asarray(case / (case + other))


def net_benefit_in_clinic(cases: np.ndarray, risk: np.ndarray, threshold: float, prevalence: float) -> SumStatistic:
    """Return the net benefit at a risk threshold t: π · sensitivity − (1 − π) · (1 − specificity) · t / (1 − t) [2].

    In cases found per image of the clinic; NaN where the data have cases alone, or none.

    Args:
        cases: (N,) bool.
        risk: (N,), at the clinic's prevalence.
        prevalence: π, share of cases in the clinic.
    """
    called = risk >= threshold
    columns = np.stack([called & cases, cases, called & ~cases, ~cases], axis=1).astype(float)
    odds = threshold / (1 - threshold)

    def function(totals: np.ndarray) -> np.ndarray:
        sensitivity = divide(totals[..., 0], totals[..., 1])
        false_positives = divide(totals[..., 2], totals[..., 3])
        return prevalence * sensitivity - (1 - prevalence) * odds * false_positives

    return SumStatistic(columns, function)
