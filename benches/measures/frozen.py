"""Training the head alone. rehead computes the features once and its time includes that; the Trainer takes 3 epochs."""

from harness.results import Measurement

from . import training

EPOCHS = 3


def measure(args, processes, inputs):
    def contenders(files, seed):
        return {
            "rehead": lambda: training.rehead(args, processes, inputs, files, seed, "frozen"),
            "Trainer": lambda: training.trainer(args, processes, inputs, files, seed, "frozen", EPOCHS),
        }

    result = Measurement("frozen", f"{training.rows(args)}, Trainer's epochs: {EPOCHS}")
    result.take_turns(training.work(args, inputs, contenders))
    result.compare("Trainer / rehead", "rehead", "Trainer", goal=20.0)
    training.show(result)
    return result
