"""What the peers share: reading a CSV, choosing a device and a precision, and what to say about the machine."""

import csv
import os
import platform
import resource
import sys

# Everything measured is local: neither the hub nor a tracker is asked.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import tokenizers
import torch
import transformers


def quiet():
    """No progress bars; warnings only where something is wrong. Data on standard output, everything else elsewhere."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def read_rows(file, text, label=None):
    """The texts of a CSV and, when asked for, their labels."""
    csv.field_size_limit(2**31 - 1)
    with open(file, encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    if not rows:
        sys.exit(f"{file}: there are no rows")
    for column in filter(None, (text, label)):
        if column not in rows[0]:
            sys.exit(f"{file}: no column {column!r}; there are {', '.join(rows[0])}")
    return [row[text] for row in rows], [row[label] for row in rows] if label else None


def device_of(choice):
    if choice == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device")
    return "cuda" if choice != "cpu" and torch.cuda.is_available() else "cpu"


def has_fast_bf16(device):
    """Whether matrix products in bf16 run in hardware; elsewhere they are slower than fp32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def surroundings(device):
    """Versions, machine and memory, to stand beside the numbers."""
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
