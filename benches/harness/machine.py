"""Facts about the machine and the versions of the programs, which are saved with the measurements."""

import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

from .settings import ROOT

PACKAGES = [
    "torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy", "onnx", "onnxruntime", "peft",
    "sentence-transformers",
]  # fmt: skip


def has_gpu():
    return Path("/proc/driver/nvidia/version").exists()


def has_fast_bf16():
    """Whether the CPU multiplies bf16 in hardware, by the same flags that rehead looks for."""
    return bool(bf16_flags())


def bf16_flags():
    return [flag for flag in ("avx512_bf16", "amx_bf16") if flag in cpuinfo("flags").split()]


def cpuinfo(field):
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")


def facts(rehead, folders):
    """The date, the commit, the machine and the versions. `folders` are where the Python packages are installed."""
    packages = metadata.distributions(path=[str(folder) for folder in folders])
    installed = {package.metadata["Name"]: package.version for package in packages}
    machine = {
        "cpu": cpuinfo("model name") or platform.processor(),
        "matrix_flags": [f for f in ("avx2", "avx512_vnni", "avx_vnni", "amx_int8") if f in cpuinfo("flags").split()],
        "bf16_flags": bf16_flags(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
    }
    if has_gpu():
        machine["gpu"] = output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": output("git", "rev-parse", "HEAD"),
        "uncommitted_changes": bool(output("git", "status", "--porcelain", "--untracked-files=no")),
        "machine": machine,
        "versions": {
            "rehead": output(rehead, "--version"),
            "python": platform.python_version(),
            **{name: installed[name] for name in PACKAGES if name in installed},
        },
    }


def output(*command):
    try:
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except FileNotFoundError:
        return ""
