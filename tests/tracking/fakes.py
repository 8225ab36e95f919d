"""Modules that stand in for trackers and remember what they were told, in a list with one entry per run."""

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


def mlflow(kept):
    module = types.ModuleType("mlflow")
    module.set_experiment = lambda title: None

    @contextmanager
    def start_run(run_name):
        kept.append({"name": run_name, "epochs": [], "ended": None})
        one = kept[-1]
        try:
            yield
        except BaseException as error:
            one["ended"] = type(error).__name__
            raise
        one["ended"] = "well"

    module.start_run = start_run
    module.log_params = lambda values: kept[-1].update(settings=values)
    module.log_metrics = lambda values, step: kept[-1]["epochs"].append((step, values))
    return module


def wandb(kept):
    class Run:
        def __init__(self, project, name, config):
            self.one = {"name": name, "settings": config, "epochs": [], "ended": None}
            kept.append(self.one)

        def log(self, metrics, step):
            self.one["epochs"].append((step, metrics))

        def finish(self, exit_code=0):
            self.one["ended"] = "badly" if exit_code else "well"

    module = types.ModuleType("wandb")
    module.init = Run
    return module


def dvclive(kept):
    class Live:
        def __init__(self, **given):
            self.one = {"name": given["dir"].rpartition("/")[2], "given": given, "epochs": [], "ended": None}
            self.one["sees_dvc"] = bool({"DVC_ROOT", "DVC_EXP_BASELINE_REV"} & set(os.environ))
            self.metrics, self.step = {}, 0
            kept.append(self.one)

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
