"""Training on photographs with a ResNet-18 (`--architecture`) at 224 pixels, compared with a script of timm and
torchvision: a head for ten epochs, and all weights. Also measures the speed of training when the images cost
nothing."""

import hashlib
import shutil

from harness.inputs import BENCH, once
from harness.results import Measurement
from harness.settings import ROOT

FROZEN_EPOCHS = 10
PHOTOGRAPHS = ROOT.parent / "shared/data/hymenoptera"


def measure(args, processes, inputs):
    data = args.photographs or (PHOTOGRAPHS if PHOTOGRAPHS.exists() else drawn())
    make = lambda part: processes.peer("make_image_model", "--architecture", args.architecture, "--out", part)
    model = once(BENCH / f"models/random-{args.architecture}", make)
    epochs = 1 if args.quick else 2
    valid = few(data / "train")

    def rehead(strategy, *options):
        out = inputs.new_run()
        done = processes.rehead(
            "train", "--train", data / "train", "--test", data / "test", "--model", model, "--strategy", strategy,
            "--valid", valid, "--batch-size", args.batch_size, "--out", out, "--json", *options,
        )  # fmt: skip
        metrics = done.json()
        shutil.rmtree(out)
        # The peer reads and decodes its images within its epochs, so the time that rehead takes for this is added.
        seconds = metrics["train_seconds"] + metrics["prepare_seconds"]
        rate = metrics["images_per_second"] * metrics["train_seconds"] / seconds
        return sample(done, seconds, rate, metrics["test"]["accuracy"]) | {"epoch_seconds": metrics["train_seconds"]}

    def peer(mode, epochs):
        done = processes.peer(
            "image_trainer", "--train", data / "train", "--test", data / "test", "--model", model, "--mode", mode,
            "--epochs", epochs, "--batch-size", args.batch_size, "--threads", args.threads,
            "--device", args.device, "--json",
        )  # fmt: skip
        result = done.json()
        return sample(done, result["train_seconds"], result["images_per_second"], result["test_accuracy"])

    lengths = f"full: {epochs} epochs, a head: {FROZEN_EPOCHS}"
    result = Measurement("images", f"{args.architecture}, {data.name}, {lengths}, batches of {args.batch_size}")
    contenders = {
        "full": lambda: rehead("full", "--epochs", epochs),
        "full, timm": lambda: peer("full", epochs),
        # Without augmentation the prepared images are cached: no image is decoded, resized or augmented in an epoch.
        "full, images for nothing": lambda: rehead("full", "--epochs", epochs, "--augment", "none"),
        "frozen": lambda: rehead("frozen"),
        "frozen, timm": lambda: peer("frozen", FROZEN_EPOCHS),
    }
    result.take_turns([contenders] * args.repeats)
    result.compare("full: timm / rehead", "full", "full, timm", goal=1.0)
    free = "full, images for nothing"
    result.compare("full: images for nothing / varied images", "full", free, goal=0.9, key="epoch_seconds")
    result.compare("frozen: timm / rehead", "frozen", "frozen, timm", goal=20.0)
    result.show(("images_per_second", "images/s", ",.1f"), ("accuracy", "accuracy", ".4f"))
    return result


def few(data):
    """A folder with eight training images of each class for rehead to validate on: validation takes little time, and
    choosing the best epoch on training images gives no advantage. The peer does not validate."""
    valid = BENCH / "images-few" / hashlib.sha256(str(data).encode()).hexdigest()[:12]
    shutil.rmtree(valid, ignore_errors=True)
    for folder in sorted(data.iterdir()):
        (valid / folder.name).mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.iterdir())[:8]:
            shutil.copy(file, valid / folder.name)
    return valid


def sample(done, seconds, rate, accuracy):
    return {
        "seconds": seconds,
        "images_per_second": rate,
        "accuracy": accuracy,
        "command": done.command,
        "process_seconds": done.seconds,
        "peak_bytes": done.peak_bytes,
    }


def drawn():
    """A folder of drawn images, for machines without the photographs."""
    import subprocess

    make = lambda part: subprocess.run([ROOT / "scripts/make-images", "--out", part, "--size", "256"], check=True)
    return once(BENCH / "images", make)
