"""The Training page: losses, training accuracy and validation balanced accuracy by epoch, one row per phase."""

import streamlit as st

from skinlesion.dashboard.shared import choose
from skinlesion.numbers import count
from skinlesion.results.reader import Results
from skinlesion.training.phases import FINE_TUNING, HEAD

_TITLES = {HEAD: "frozen backbone", FINE_TUNING: "fine-tuned"}


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Training")
    name = choose("Experiment", results, "training_name")
    if name is None:
        return
    if name in results.params.ensembles:
        st.info("An ensemble is not trained; its members are.")
        return
    history = results.history(name)
    for phase in dict.fromkeys(history["phase"]):
        part = history[history["phase"] == phase].set_index("step")
        st.subheader(_TITLES.get(str(phase), str(phase)))
        left, middle, right = st.columns(3)
        losses = [column for column in ("train_loss", "validation_loss") if column in part]
        left.caption("Loss, mean over runs")
        left.line_chart(part[losses])
        if "train_accuracy" in part:  # runs trained before it was written have none
            middle.caption("Accuracy on training images as they were shown, mean over runs")
            middle.line_chart(part[["train_accuracy"]])
        right.caption("Balanced accuracy on validation parts, mean over runs")
        right.line_chart(part[["validation_balanced_accuracy"]])
    st.caption(f"{count(history['runs'].max(), 'run')}; curves average those that got as far.")
