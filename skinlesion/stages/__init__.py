"""One module a stage: read, call, write; no maths."""
