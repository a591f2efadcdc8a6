"""Training all weights, compared with the Trainer, once with its best settings and once with its defaults. The compared
time is that of training alone."""

from harness.results import Measurement

from . import training


def measure(args, processes, inputs):
    epochs = 3 if args.whole else 1

    def contenders(files, seed):
        trainer = lambda mode: training.trainer(args, processes, inputs, files, seed, mode, epochs)
        return {
            "rehead": lambda: training.rehead(args, processes, inputs, files, seed, "full", "--epochs", epochs),
            "Trainer, best settings": lambda: trainer("best"),
            "Trainer, default": lambda: trainer("default"),
        }

    result = Measurement("full", f"{training.rows(args)}, epochs: {epochs}, batches of {args.batch_size}")
    result.take_turns(training.work(args, inputs, contenders))
    result.compare("Trainer's best settings / rehead", "rehead", "Trainer, best settings", goal=2.0)
    result.compare("Trainer's default / rehead", "rehead", "Trainer, default", goal=5.0)
    training.show(result)
    return result
