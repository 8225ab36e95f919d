"""The Data page: counts of images and lesions under filters, what is missing, ages, sexes, sites, and photographs."""

import pandas as pd
import streamlit as st

from skinlesion.dashboard import charts, words
from skinlesion.dashboard.shared import part, show_figures, show_table
from skinlesion.data.description import describe_tables
from skinlesion.numbers import count, interval, number, percent
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES, UNKNOWN

_SHOWN, _ROWS = 12, 20
_AGE_STEP = 5  # years: HAM10000 gives ages in fives
_COLUMNS = {
    "image_id": "Image", "lesion_id": "Lesion", "dx": "Diagnosis", "age": "Age in years", "sex": "Sex",
    "localization": "Localization", "dx_type": "Diagnosis by", "dataset": "Source",
}  # fmt: skip


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Data")
    table = results.metadata
    left, middle, right = st.columns(3)
    sexes = left.multiselect("Sex", sorted(table["sex"].unique()), key="data_sex")
    sites = middle.multiselect("Localization", sorted(table["localization"].unique()), key="data_site")
    ages = right.slider("Age in years", 0, 100, (0, 100), key="data_age")
    rows = table[table["sex"].isin(sexes or table["sex"]) & table["localization"].isin(sites or table["localization"])]
    if ages != (0, 100):
        rows = rows[rows["age"].between(*ages)]
    _counts(rows)
    if rows.empty:
        st.info("No image fits these filters.")
        return
    described = describe_tables(rows)
    with part(results, "Diagnoses"):
        _diagnoses(described["classes"])
    with part(results, "Age"):
        _ages(rows)
    with part(results, "Sex and localization"):
        _fields(rows)
    with part(results, f"First {_ROWS} rows"):
        first = rows.head(_ROWS).rename(columns=_COLUMNS)
        show_table(first[[name for name in _COLUMNS.values() if name in first]])
    with part(results, "Photographs"):
        _photographs(results, rows)


def _counts(table: pd.DataFrame) -> None:
    lacking = {
        "age": table["age"].isna(),
        "sex": table["sex"] == UNKNOWN,
        "localization": table["localization"] == UNKNOWN,
    }
    any_missing = pd.concat(lacking, axis=1).any(axis=1)
    show_figures([
        ("Images", count(len(table)), ""),
        ("Lesions", count(table["lesion_id"].nunique()), ""),
        ("Classes", count(table["dx"].nunique()), ""),
        ("With a field missing", percent(any_missing.mean(), 1), ""),
    ])  # fmt: skip
    by_field = ", ".join(f"{name} of {count(column.sum(), 'image')}" for name, column in lacking.items())
    st.caption(f"Missing: {by_field}; a field at least of {count(any_missing.sum(), 'image')}.")


def _diagnoses(classes: pd.DataFrame) -> None:
    drawn = pd.concat([
        pd.DataFrame({"class": classes["dx"], "number": classes[kind], "of": kind}) for kind in ("images", "lesions")
    ])  # fmt: skip
    st.altair_chart(charts.grouped_bars(drawn, "class", "number", "of", y_title="number", domain=None), width="stretch")
    show_table(
        pd.DataFrame(
            [
                {
                    "Code": row["dx"],
                    "Diagnosis": row["name"],
                    "Images": count(row["images"]),
                    "Share of images": percent(row["image_share"], 1),
                    "Lesions": count(row["lesions"]),
                    "Share of lesions": percent(row["lesion_share"], 1),
                    "Images per lesion": number(row["images_per_lesion"], 2),
                    "Age, median (quartiles)": interval(row["age_median"], row["age_q1"], row["age_q3"], 0),
                }
                for row in classes.to_dict("records")
            ]
        )
    )


def _ages(table: pd.DataFrame) -> None:
    with_age = table.dropna(subset=["age"]).rename(columns={"age": "age in years"})
    if with_age.empty:
        st.info("No image has an age under these filters.")
        return
    st.altair_chart(
        charts.histogram(with_age[["age in years"]], "age in years", step=_AGE_STEP, counted="images"), width="stretch"
    )
    left, right = st.columns(2)
    drawn = with_age.rename(columns={"dx": "diagnosis"})[["diagnosis", "sex", "age in years"]].sort_values("sex")
    order = list(CLASSES)
    left.markdown("**By diagnosis**")
    left.altair_chart(charts.boxes(drawn, "diagnosis", "age in years", order=order))
    right.markdown("**By diagnosis and sex**")
    with_sex = drawn[drawn["sex"] != UNKNOWN]
    right.altair_chart(charts.boxes(with_sex, "diagnosis", "age in years", "sex", order=order))
    st.caption("Boxes: quartiles and median; whiskers reach 1.5 interquartile ranges.")


def _fields(table: pd.DataFrame) -> None:
    left, right = st.columns(2)
    for column, field in ((left, "sex"), (right, "localization")):
        numbers = table[field].value_counts()
        drawn = pd.DataFrame({
            field: [f"{name}, {percent(size / len(table), 1)}" for name, size in numbers.items()],
            "images": numbers.to_numpy(),
        })  # fmt: skip
        column.markdown(f"**{field.capitalize()}**")
        column.altair_chart(charts.bars(drawn, field, "images"))


def _photographs(results: Results, table: pd.DataFrame) -> None:
    present = [dx for dx in CLASSES if (table["dx"] == dx).any()]
    dx = st.selectbox("Diagnosis", present, format_func=words.class_title, key="data_dx")
    some = table[table["dx"] == dx].sample(frac=1, random_state=0).head(_SHOWN).to_dict("records")
    for start in range(0, len(some), 6):
        for column, row in zip(st.columns(6), some[start : start + 6], strict=False):
            age = "age unknown" if pd.isna(row["age"]) else f"{number(row['age'], 0)} years"
            caption = f"{row['image_id']}  \n{age}, {row['sex']}, {row['localization']}"
            column.image(results.photograph(row["image_id"]), caption=caption)
