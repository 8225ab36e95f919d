"""Versions, devices, checksums and settings behind the results."""

from typing import Any

from skinlesion.numbers import count
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.results.system import SystemResult


def provenance(results: Results) -> Section:
    """Return everything needed to make the results again, line by line."""
    params, systems, prepared = results.params, results.systems(), results.prepared
    notes = systems[0].notes
    facts = [(f"{package} version", str(version)) for package, version in notes["versions"].items()]
    facts.append(("device of training", _device(notes["device"])))
    if "evaluated_with" in notes:
        facts.append(("device of evaluation", _device(notes["evaluated_with"]["device"])))
    facts += [(f"SHA-256 of {name}", checksum) for name, checksum in prepared["checksums"].items()]
    facts.append(("SHA-256 of the prepared pixels", prepared["images_sha256"]))
    partitions = f", {count(params.split.repeats, 'partition')}" if params.split.repeats > 1 else ""
    facts.append(("split seed", f"{params.split.seed}{partitions}"))
    facts.append(("bootstrap", f"{count(params.stats.replicates, 'replicate')}, seed {params.stats.seed}"))
    facts += [(system.name, _training(system)) for system in systems]
    return Section("Provenance", render("provenance.html.j2", facts=facts))


def _device(described: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in described.items())


def _training(system: SystemResult) -> str:
    """Return in words how one system came about."""
    training = system.description["training"]
    if system.is_ensemble:
        return f"{training}; weights: weights.csv"
    config, device = system.notes["config"], system.notes["device"]
    repeats = "" if system.repeats == [0] else f"repeats {system.repeats}, "
    return (
        f"{config['backbone']}, weights {config['weights']}, {training}, folds {config['folds']}, "
        f"seeds {config['seeds']}, {repeats}best epochs {system.notes['best_epochs']}, "
        f"on {device['name']} ({device['type']})"
    )
