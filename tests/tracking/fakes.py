"""Modules that replace trackers and record their calls, in a list with one entry per run."""

import os
import types
from contextlib import contextmanager

MLFLOW_ON_DISK = """
from contextlib import contextmanager

def told(line):
    with open("told.txt", "a") as stream:
        print(line, file=stream)

@contextmanager
def start_run(run_name):
    told(run_name)
    yield

def set_experiment(title): pass
def log_params(values): pass
def log_metrics(values, step): told(step)
"""


def mlflow(runs):
    module = types.ModuleType("mlflow")
    module.set_experiment = lambda title: None

    @contextmanager
    def start_run(run_name):
        runs.append({"name": run_name, "epochs": [], "ended": None})
        current = runs[-1]
        try:
            yield
        except BaseException as error:
            current["ended"] = type(error).__name__
            raise
        current["ended"] = "well"

    module.start_run = start_run
    module.log_params = lambda values: runs[-1].update(settings=values)
    module.log_metrics = lambda values, step: runs[-1]["epochs"].append((step, values))
    return module


def wandb(runs):
    class Run:
        def __init__(self, project, name, config):
            self.one = {"name": name, "settings": config, "epochs": [], "ended": None}
            runs.append(self.one)

        def log(self, metrics, step):
            self.one["epochs"].append((step, metrics))

        def finish(self, exit_code=0):
            self.one["ended"] = "badly" if exit_code else "well"

    module = types.ModuleType("wandb")
    module.init = Run
    return module


def dvclive(runs):
    class Live:
        def __init__(self, **given):
            self.one = {"name": given["dir"].rpartition("/")[2], "given": given, "epochs": [], "ended": None}
            self.one["sees_dvc"] = bool({"DVC_ROOT", "DVC_EXP_BASELINE_REV"} & set(os.environ))
            self.metrics, self.step = {}, 0
            runs.append(self.one)

        def log_params(self, values):
            self.one["settings"] = values

        def log_metric(self, name, value):
            self.metrics[name] = value

        def make_summary(self):
            self.one["epochs"].append((self.step, self.metrics))
            self.metrics = {}

        def end(self):
            self.one["ended"] = "well"

    module = types.ModuleType("dvclive")
    module.Live = Live
    return module
