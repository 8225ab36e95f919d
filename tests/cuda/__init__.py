"""The pipeline on a CUDA device: a pretended one in every test run, a real one with `pytest -m gpu`."""
