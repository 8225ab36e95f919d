"""Does metadata help? The gain beside its controls."""

from skinlesion.report.effect_page import APPROXIMATE, Answers, effect_sentences, effect_tables
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def effect(results: Results) -> Section | None:
    """Return the answer in sentences and the tables behind it; None where nothing is asked."""
    if results.params.effect.multimodal is None:
        return None
    answers = Answers(results.effect_table, results.label_noise)
    tables = effect_tables(answers)
    if not tables:
        return None
    html = render(
        "effect.html.j2",
        sentences=effect_sentences(results, answers),
        tables=tables,
        approximate=APPROXIMATE,
        effect_csv=embedded_csv("effect", results.effect_table),
        noise_csv=embedded_csv("label_noise", results.label_noise),
    )
    return Section("Does metadata help?", html)
