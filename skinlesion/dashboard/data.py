"""The Data page: counts of images and lesions under filters, and photographs."""

import pandas as pd
import streamlit as st

from skinlesion.numbers import count, number, percent
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASS_NAMES, CLASSES

_SHOWN = 12


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Data")
    table = results.metadata
    left, middle, right = st.columns(3)
    sexes = left.multiselect("Sex", sorted(table["sex"].unique()), key="data_sex")
    sites = middle.multiselect("Localization", sorted(table["localization"].unique()), key="data_site")
    ages = right.slider("Age in years", 0, 100, (0, 100), key="data_age")
    kept = table[table["sex"].isin(sexes or table["sex"]) & table["localization"].isin(sites or table["localization"])]
    if ages != (0, 100):
        kept = kept[kept["age"].between(*ages)]
    left, middle, right = st.columns(3)
    left.metric("Images", count(len(kept)))
    middle.metric("Lesions", count(kept["lesion_id"].nunique()))
    missing = kept[["age"]].isna().any(axis=1) | (kept["sex"] == "unknown") | (kept["localization"] == "unknown")
    right.metric("With a field missing", percent(missing.mean(), 1))
    if kept.empty:
        st.info("No image fits these filters.")
        return
    counts = pd.DataFrame({
        "images": kept["dx"].value_counts(),
        "lesions": kept.groupby("dx")["lesion_id"].nunique(),
    }).reindex([dx for dx in CLASSES if (kept["dx"] == dx).any()])  # fmt: skip
    st.subheader("By diagnosis")
    st.bar_chart(counts, stack=False)
    st.subheader("Ages by diagnosis")
    st.dataframe(kept.groupby("dx")["age"].describe()[["count", "25%", "50%", "75%"]], width="stretch")
    st.subheader("Photographs")
    dx = st.selectbox(
        "Diagnosis", list(counts.index), format_func=lambda name: f"{name}, {CLASS_NAMES[name]}", key="data_dx"
    )
    some = kept[kept["dx"] == dx].sample(frac=1, random_state=0).head(_SHOWN)
    columns = st.columns(6)
    for place, row in enumerate(some.to_dict("records")):
        age = "age unknown" if pd.isna(row["age"]) else f"{number(row['age'], 0)} years"
        caption = f"{row['image_id']}: {age}, {row['sex']}, {row['localization']}"
        columns[place % 6].image(results.photograph(row["image_id"]), caption=caption)
