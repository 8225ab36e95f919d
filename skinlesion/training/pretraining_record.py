"""Files of pretrained weights that say which images they have seen, in their header and in a JSON file beside them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from skinlesion.atomic import replacing
from skinlesion.files import write_json
from skinlesion.reading import read_json

_KEY = "pretraining"  # in the header and in the JSON file
_REMEDY = "restore it from where the weights came from, or run `skinlesion pretrain` again"


def save_pretrained(path: Path, state: dict[str, torch.Tensor], record: dict[str, Any]) -> None:
    """Write weights and their record: same weights and record, same bytes.

    The record is in the file's header as well as beside it: a copy without the JSON file still says what it has seen.
    """
    header = {_KEY: json.dumps(record, sort_keys=True, allow_nan=False)}
    with replacing(path) as temporary:
        save_file({name: state[name].contiguous() for name in sorted(state)}, temporary, header)
    write_json(path.with_suffix(".json"), {_KEY: record})


def pretraining_records(path: Path) -> list[dict[str, Any]]:
    """Return what the header of a weights file and the JSON file beside it say: none, one or two records.

    Weights of another origin have none, even with a JSON file of their own beside them.

    Raises:
        UserError: the JSON file beside the weights is not JSON.
    """
    if not path.is_file():  # a folder or pipe, which loading the weights refuses
        return []
    records: list[Any] = []
    try:
        with safe_open(path, framework="pt") as stored:
            records.append(json.loads((stored.metadata() or {}).get(_KEY, "null")))
    except (SafetensorError, OSError, ValueError, RecursionError):
        pass  # loading the weights says what is wrong with the file
    beside = path.with_suffix(".json")
    if beside.exists():
        content = read_json(beside, _REMEDY)
        records.append(content.get(_KEY) if isinstance(content, dict) else None)
    return [record for record in records if isinstance(record, dict)]
