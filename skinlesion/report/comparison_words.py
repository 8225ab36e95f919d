"""A comparison in words: the sentence that answers it, the methods paragraph of a paper, and lines for a terminal."""

from collections.abc import Iterable, Mapping

from skinlesion.analysis.columns import BOOTSTRAP_METHOD, MCNEMAR_METHODS, PERMUTATION_METHOD, RECIPE
from skinlesion.analysis.pair_report import ComparisonReport, ComparisonRow, FlipReport
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import count, interval, limits, number, p_value, percent, plain, points

_PLACES = 4  # after the point of a metric
_MOST_IDS = 8


def pairs_of(report: ComparisonReport) -> list[tuple[str, str]]:
    """Return the pairs (a, b) of a report, in its order."""
    return list(dict.fromkeys((row.a, row.b) for row in report.comparisons))


def rows_of(report: ComparisonReport, pair: tuple[str, str]) -> list[ComparisonRow]:
    """Return the rows of a pair."""
    return [row for row in report.comparisons if (row.a, row.b) == pair]


def judged_row(report: ComparisonReport, pair: tuple[str, str], metric: str) -> ComparisonRow:
    """Return the row of a pair that carries the verdict on a metric."""
    return next(row for row in rows_of(report, pair) if row.metric == metric and row.verdict)


def answer(row: ComparisonRow, confidence: float) -> str:
    """Return the sentence that a judged row amounts to: which model is better, by how much, and against the margin.

    Differences are in points: one point is 0.01 of the metric. The interval is the one that the verdict agrees with.
    """
    title, a, b = title_of(row.metric), row.a, row.b
    if row.difference is None or row.low_adjusted is None or row.high_adjusted is None:
        return f"{b} and {a} are not compared by {title}: {row.verdict.partition(': ')[2]}."
    size_of_margin = round(100 * (row.margin or 0), 6)
    smallest = f"{plain(size_of_margin)} point{'' if size_of_margin == 1 else 's'}"
    margin = f"the margin of {smallest}" if row.margin else ""
    difference, low, high = row.difference, row.low_adjusted, row.high_adjusted
    if row.verdict.startswith("lower"):
        a, b, difference, low, high = b, a, -difference, -high, -low
    size = f"{points(difference)} points of {title} ({points(low)} to {points(high)}, {percent(confidence, None)})"
    if row.verdict.startswith(("higher", "lower")):
        behind = ""
        if row.verdict.endswith("by more than the margin"):
            behind = f", by more than {margin}"
        elif row.verdict.endswith("within the margin"):
            behind = f"; the difference is smaller than {margin}"
        elif margin:
            behind = f"; not shown to exceed {margin}"
        return f"{b} is better than {a} by {size}{behind}."
    ends = f"{points(low, signed=True)} to {points(high, signed=True)}"
    size = f"{b} − {a} is {points(difference, signed=True)} points of {title} ({ends}, {percent(confidence, None)})"
    if row.verdict == "equivalent":
        return f"{b} and {a} are equivalent within {margin}: {size}."
    text = f"No difference between {b} and {a} is shown: {size}"
    if row.verdict == "not lower by the margin":
        return f"{text}; {b} is not worse than {a} by {smallest} or more."
    if row.verdict == "not higher by the margin":
        return f"{text}; {b} is not better than {a} by {smallest} or more."
    return f"{text}{f'; a difference beyond {margin} is not excluded' if margin else ''}."


def answers(report: ComparisonReport) -> list[str]:
    """Return the sentence of each pair about the primary metric."""
    return [answer(judged_row(report, pair, report.primary), report.confidence) for pair in pairs_of(report)]


def basis(report: ComparisonReport) -> str:
    """Return in words what the comparison rests on: images, lesions, resamples, confidence."""
    return (
        f"{_images(report)}, "
        f"{count(report.replicates, 'bootstrap replicate')}, seed {report.seed}, "
        f"{percent(report.confidence, None)} intervals"
    )


def _images(report: ComparisonReport) -> str:
    images = count(report.images, "image")
    if report.lesions == report.images:
        return f"{images}, taken as independent"
    return f"{images} of {count(report.lesions, 'lesion')}"


def comparison_lines(report: ComparisonReport) -> list[str]:
    """Return the lines that the terminal shows: the answers first, then each pair's table, flips and cautions."""
    lines = [*answers(report), ""]
    pairs = pairs_of(report)
    judged = judged_row(report, pairs[0], report.primary)
    about = "training these recipes again" if judged.about == RECIPE else "these trained models"
    lines += [f"primary metric: {title_of(report.primary)}, by {judged.method}; about {about}", basis(report)]
    cautions: dict[str, int] = {}
    for pair in pairs:
        lines += ["", f"{pair[1]} − {pair[0]}", *_table(rows_of(report, pair), report.primary, cautions)]
        lines += [f"  {_judgement(row)}" for row in rows_of(report, pair) if row.verdict]
        key = f"{pair[0]} vs {pair[1]}"
        effects = [
            f"{title_of(name.partition(': ')[2])} {number(value, 2)}"
            for name, value in report.design_effect.items()
            if name.startswith(f"{key}: ")
        ]
        if effects:
            lines.append(f"  design effect (clustered / naive variance): {', '.join(effects)}")
        lines += _flip_lines(report.flips[key])
    return [*lines, *(f"[{number}] {caution}" for caution, number in cautions.items())]


def _table(rows: Iterable[ComparisonRow], primary: str, cautions: dict[str, int]) -> list[str]:
    """Return rows as aligned columns; an arrow marks the primary one, a number a caution that is printed below."""
    cells = [("", "metric", "a", "b", "b − a", "p", "method")]
    for row in rows:
        mark = "→" if row.metric == primary and row.verdict else ""
        note = f" [{cautions.setdefault(row.caution, len(cautions) + 1)}]" if row.caution else ""
        values = ("undefined: a class is absent", "", "")
        if row.a_value is not None and row.b_value is not None:
            difference = interval(row.b_value - row.a_value, row.low, row.high, _PLACES, signed=True)
            values = (number(row.a_value, _PLACES), number(row.b_value, _PLACES), difference)
        cells.append((mark, title_of(row.metric), *values, p_value(row.p), f"{row.method}{note}"))
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in cells
    ]


def _judgement(row: ComparisonRow) -> str:
    """Return the verdict of a row, with the p-value and the interval that it agrees with."""
    title = title_of(row.metric)
    if row.p_adjusted is None:
        return f"{title}: {row.verdict}"
    against = f" (margin {plain(row.margin)})" if row.margin is not None else ""
    allowed = f"{row.adjustment}: {limits(row.low_adjusted, row.high_adjusted, _PLACES, signed=True)}"
    return f"{title}: {row.verdict}{against}; {row.family}, {allowed}, p {p_value(row.p_adjusted)}"


def _flip_lines(flips: Mapping[str, FlipReport]) -> list[str]:
    changed = [f"{dx} −{len(flip.lost)} +{len(flip.gained)} of {flip.cases}" for dx, flip in flips.items()]
    lines = [f"  answers lost and gained: {', '.join(changed)}"]
    for change, ids in (("lost", flips["mel"].lost), ("gained", flips["mel"].gained)):
        if ids:
            more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
            lines.append(f"  melanomas {change}: {', '.join(ids[:_MOST_IDS])}{more}")
    return lines


def methods_paragraph(report: ComparisonReport) -> str:
    """Return what a paper says of the comparison; [keys] are those of references.bib."""
    used = {row.method for row in report.comparisons}
    level = percent(report.confidence, None)
    several = any(row.about == RECIPE for row in report.comparisons)
    pairs = len(pairs_of(report))
    text = [
        f"Models were compared on the same {_images(report)}"
        f"{'' if report.lesions == report.images else '; images of one lesion were treated as one cluster'}.",
        f"The primary metric was {title_of(report.primary)}. Differences carry {level} t intervals from influence "
        "functions summed by lesion [shao1995, obuchowski1997]"
        + (", with the variance between repeated trainings added [bouthillier2021]." if several else "."),
    ]
    if report.primary in report.margins:
        text.append(
            f"A difference of {plain(report.margins[report.primary])} was fixed as the smallest that matters; "
            "equivalence and non-inferiority were tested one-sided against it [schuirmann1987, piaggio2012]."
        )
    if pairs > 1:
        text.append(
            f"The {pairs} comparisons of the primary metric form one family with simultaneous intervals "
            "[westfall1993]; other metrics are exploratory, with the false discovery rate controlled "
            "[benjamini1995, benjamini2005]."
        )
    beside = []
    if BOOTSTRAP_METHOD in used:
        beside.append(f"a bootstrap of lesions with {count(report.replicates, 'replicate')} [davison1997]")
    if PERMUTATION_METHOD in used:
        beside.append("a permutation test that swaps the models' answers by lesion [phipson2010]")
    if MCNEMAR_METHODS["clustered"] in used:
        beside.append("McNemar's test of accuracy for clustered data [yang2010]")
    if beside:
        listed = f"{', '.join(beside[:-1])}{' and ' if len(beside) > 1 else ''}{beside[-1]}"
        text.append(f"In addition, the following were computed: {listed}.")
    return " ".join(text)
