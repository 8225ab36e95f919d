"""verify passes on what the stages wrote, and fails when one digit of it is another."""

import re
import shutil

import pytest

from tests.dashboard.conftest import finished  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def reported(finished, tmp_path_factory):  # noqa: F811
    """The finished workspace with its report, cards, and a README that holds the table."""
    from skinlesion.params import load_params
    from skinlesion.stages.audit import audit
    from skinlesion.stages.explain import explain_best
    from skinlesion.stages.metadata import metadata
    from skinlesion.stages.report import report, write_readme_table
    from skinlesion.stages.workspace import Workspace

    folder = tmp_path_factory.mktemp("reported") / "workspace"
    shutil.copytree(finished, folder)
    params, workspace = load_params(folder / "params.yaml"), Workspace(folder)
    audit(params, workspace)
    metadata(params, workspace)
    explain_best(params, workspace)
    report(params, workspace)
    readme = folder / "README.md"
    readme.write_text("# Mine\n<!-- results:begin -->\n<!-- results:end -->\nThe rest.\n")
    write_readme_table(workspace, readme)
    return folder


def one_digit_else(text: str, before: str) -> str:
    """Return the text with the first digit after `before` turned into the next."""
    place = text.index(before) + len(before)
    found = re.compile(r"\d").search(text, place)
    assert found is not None
    digit = str((int(found[0]) + 1) % 10)
    return text[: found.start()] + digit + text[found.end() :]


@pytest.mark.parametrize("quick", [True, False])
def test_everything_comes_out_again(reported, run, quick):
    outcome = run("verify", "--readme", "README.md", *(["--quick"] if quick else []), cwd=reported)
    assert outcome.code == 0, outcome.out + outcome.err
    assert "every figure comes out again" in outcome.out


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("README.md", "(concat, onehot) | frozen | lesion, fold 0 only | 0."),
        ("reports/runs/concat/metrics.json", '"balanced_accuracy": 0.'),
        ("reports/cards/concat.md", "| balanced accuracy | 0."),
        ("reports/report.html", "The smallest difference that matters was fixed beforehand at 0."),
        ("reports/results.tex", "concat & test"),
    ],
)  # fmt: skip
def test_one_digit_edited_is_found(reported, run, tmp_path, name, before):
    folder = tmp_path / "workspace"
    shutil.copytree(reported, folder)
    path = folder / name
    path.write_text(one_digit_else(path.read_text(), before))
    outcome = run("verify", "--quick", "--readme", "README.md", cwd=folder)
    assert outcome.code == 2
    assert name in outcome.out
    assert "recomputed" in outcome.out
    assert "differ from what predictions give" in outcome.err


def test_an_edited_prediction_is_found(reported, run, tmp_path):
    import pandas as pd

    folder = tmp_path / "workspace"
    shutil.copytree(reported, folder)
    path = folder / "reports/runs/image/predictions.csv"
    table = pd.read_csv(path)
    columns = [name for name in table if name.startswith("p_")]
    table.loc[0, columns] = [0.0] * 6 + [1.0]
    table.to_csv(path, index=False)
    outcome = run("verify", "--quick", cwd=folder)
    assert outcome.code == 2
    assert "reports/runs/image/metrics.json" in outcome.out


def test_cards_say_what_the_model_must_not_be_used_for(reported):
    text = (reported / "reports/cards/concat.md").read_text()
    for said in (
        "must not be used",
        "SYNTHETIC",
        "TRIPOD+AI",
        "Worst group",
        "Not a medical device",
        "What metadata add",
    ):
        assert said in text
    assert "{{" not in text
    assert "What metadata add" not in (reported / "reports/cards/image.md").read_text()
    assert not (reported / "reports/cards/both.md").exists()


def test_figures_and_tables_stand_beside_the_report(reported):
    names = {path.stem for path in (reported / "reports/figures").glob("*.svg")}
    assert {"claims", "differences", "leader_board", "confusion_image", "assessment_1"} <= names
    tex = (reported / "reports/results.tex").read_text()
    assert r"\toprule" in tex
    assert "_" not in tex.replace(r"\_", "").partition("%")[0]
    page = (reported / "reports/report.html").read_text()
    for said in (
        "The claims, answered",
        "Where the models look",
        "Training",
        "Limits and licence",
        "What metadata add",
    ):
        assert said in page


def test_the_reports_contents_lead_to_its_sections(reported):
    page = (reported / "reports/report.html").read_text()
    wanted, there = re.findall(r'href="#([^"]+)"', page), re.findall(r'id="([^"]+)"', page)
    sections = [one for one in there if f'<h2 id="{one}">' in page]
    contents = re.search(r"<nav.*?</nav>", page, re.DOTALL)
    assert contents is not None
    assert re.findall(r'href="#([^"]+)"', contents[0]) == sections
    assert len(sections) == len(set(sections)) > 10
    assert set(wanted) <= set(there)
