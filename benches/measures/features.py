"""Computing the features of the frozen backbone, compared with sentence-transformers. rehead's time is that of a
frozen run: it computes the features of the training rows and of a few validation rows, and fits the head. Neither
time includes tokenising."""

from harness import machine
from harness.inputs import read_csv
from harness.results import Measurement

from . import training


def measure(args, processes, inputs):
    texts, _ = inputs.texts()
    _, valid, test = inputs.subset()
    files, seed = (texts, valid, test), args.seeds[0]

    def peer(precision):
        done = processes.peer(
            "encode", "--model", inputs.model(), "--input", texts, "--precision", precision,
            "--batch-size", args.batch_size, "--max-length", args.max_length, "--threads", args.threads,
            "--device", args.device,
        )  # fmt: skip
        result = done.json()
        return {
            "seconds": result["seconds"],
            "tokens_per_second": result["tokens_per_second"],
            "command": done.command,
            "process_seconds": done.seconds,
            "peak_bytes": done.peak_bytes,
        }

    fast = machine.has_fast_bf16() or (machine.has_gpu() and args.device != "cpu")
    precisions = ("fp32", "bf16") if fast else ("fp32",)
    contenders = {}
    for precision in precisions:
        contenders[f"rehead {precision}"] = lambda p=precision: training.rehead(
            args, processes, inputs, files, seed, "frozen", "--precision", p
        )
        contenders[f"sentence-transformers {precision}"] = lambda p=precision: peer(p)

    result = Measurement("features", f"{len(read_csv(texts))} texts")
    result.interleave(contenders, args.repeats)
    for precision in precisions:
        theirs = f"sentence-transformers {precision}"
        result.compare(f"{theirs} / rehead {precision}", f"rehead {precision}", theirs)
    result.show(("tokens_per_second", "tokens/s", ",.0f"))
    return result
