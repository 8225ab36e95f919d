"""The metadata at the head of a model card, in the form of the Hugging Face Hub: model-index, licence, tags."""

import io
import math
from typing import Any

from ruamel.yaml import YAML

from skinlesion.evaluation import registry
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import MISSING, limits, percent
from skinlesion.report.tables import SPLIT_BY
from skinlesion.results.reader import Results

#: Source of the data → licence of the weights, which follows the data's, by the Hub's names.
_LICENCES = {"phantom": "apache-2.0", "ham10000": "cc-by-nc-4.0"}
#: Our metric → the Hub's type, where it has one.
_TYPES = {"macro_f1": "f1", "macro_auc": "roc_auc"}
#: Of a value: the last digits of a sum are another machine's.
_PLACES = 6
_TAGS = ("dermatology", "dermoscopy", "skin-lesion-classification", "image-classification", "research-only")


def card_metadata(results: Results, name: str) -> dict[str, Any]:
    """Return the metadata of an experiment's card; a metric without a value is left out.

    Raises:
        UserError: a file of an earlier stage is missing.
    """
    system, settings, prepared = results.system(name), results.params.experiment(name), results.prepared
    source = prepared["source"]
    licence = _LICENCES.get(source)
    tags = [*_TAGS, *(["tabular", "multimodal"] if settings.uses_metadata else [])]
    tags += ["synthetic"] if results.synthetic else []
    confidence = percent(system.notes["confidence"], None)
    metrics = []
    for metric in registry.CARD:
        value = system.metrics.get(metric, math.nan)
        if math.isfinite(value):
            ends = limits(system.metrics.get(f"{metric}_low"), system.metrics.get(f"{metric}_high"))
            note = "" if ends == MISSING else f" ({confidence} interval {ends})"
            metrics.append(
                {
                    "type": _TYPES.get(metric, metric),
                    "value": round(value, _PLACES),
                    "name": f"{title_of(metric)}{note}",
                }
            )
    return {
        "library_name": "skinlesion",
        "pipeline_tag": "image-classification",
        **({"license": licence} if licence else {"license": "other", "license_name": "licence-of-the-training-data"}),
        "tags": tags,
        "datasets": [source],
        "metrics": list(dict.fromkeys(metric["type"] for metric in metrics)),
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "seven skin-lesion diagnoses"},
                        "dataset": {
                            "type": source,
                            "name": f"{source}, out of fold, split by {SPLIT_BY[settings.protocol]}",
                        },
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }


def front_matter(metadata: dict[str, Any]) -> str:
    """Return metadata as the YAML between the two lines of dashes that a card begins with."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.allow_unicode, yaml.sort_base_mapping_type_on_output = False, True, False
    yaml.width = 1000
    stream = io.StringIO()
    yaml.dump(metadata, stream)
    return f"---\n{stream.getvalue()}---\n"
