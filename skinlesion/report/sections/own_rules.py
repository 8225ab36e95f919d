"""Every system at decision rules of its own, and pairs compared at these."""

import pandas as pd

from skinlesion.evaluation.decision_rules import OBJECTIVES
from skinlesion.evaluation.figure_names import at_own_rule_name
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import figure
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def own_rules(results: Results) -> Section:
    """Return each system as it is and at its own rule for each metric, and the differences between pairs at these."""
    header = [
        title for objective in OBJECTIVES for title in (title_of(objective), title_of(at_own_rule_name(objective)))
    ]
    rows = [
        (
            name,
            [
                cell
                for objective in OBJECTIVES
                for cell in (
                    figure(results.system(name).metrics, objective),
                    figure(results.assessment(name), at_own_rule_name(objective)),
                )
            ],
        )
        for name in results.shown
    ]
    compared: pd.DataFrame = results.statistics_table("own_rules")
    judged = compared[compared["verdict"] != ""]
    pairs = judged.assign(metric=judged["metric"].map(title_of)).to_dict("records")
    html = render("own_rules.html.j2", header=header, rows=rows, pairs=pairs)
    return Section("Systems with their own decision rules", html)
