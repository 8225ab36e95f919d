"""The Streamlit dashboard: it reads what the stages wrote and computes nothing they do not."""
