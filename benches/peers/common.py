"""What the peers share: reading a CSV file, choosing a device and a precision, and describing the machine."""

import csv
import os
import platform
import resource
import sys

# All inputs are local files, so the hub is not contacted.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import tokenizers
import torch
import transformers


def quiet():
    """Turns off progress bars and all messages of transformers below errors: standard output holds only the result."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def read_rows(file, text, label=None):
    """The texts of a CSV file and, if `label` names a column, their labels."""
    csv.field_size_limit(2**31 - 1)
    with open(file, encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    if not rows:
        sys.exit(f"{file}: it has no rows")
    for column in filter(None, (text, label)):
        if column not in rows[0]:
            sys.exit(f"{file}: no column {column!r}; there are {', '.join(rows[0])}")
    return [row[text] for row in rows], [row[label] for row in rows] if label else None


def device_of(choice):
    if choice == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device")
    return "cuda" if choice != "cpu" and torch.cuda.is_available() else "cpu"


def has_fast_bf16(device):
    """Whether the hardware multiplies bf16 matrices; without that, bf16 is slower than fp32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def surroundings(device):
    """Versions, machine and peak memory, which are saved with the measurements."""
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
        },
    }


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:
            names = [line.split(":", 1)[1].strip() for line in handle if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
