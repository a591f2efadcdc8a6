"""Training low-rank adapters, compared with PEFT in the Trainer with its best settings. The compared time is that of
training alone. rehead's includes evaluating all validation rows after each epoch: the few validation rows of the other
measurements would make the choice of the best epoch random."""

from harness.results import Measurement

from . import training

EPOCHS = 2


def measure(args, processes, inputs):
    _, valid, test = inputs.whole()

    def contenders(files, seed):
        files = (files[0], valid, test)
        return {
            "rehead": lambda: training.rehead(
                args, processes, inputs, files, seed, "lora", "--epochs", EPOCHS, "--lr", "1e-3"
            ),
            "PEFT": lambda: training.peer(args, processes, inputs, files, seed, "peft_trainer", EPOCHS),
        }

    result = Measurement("lora", f"{training.rows(args)}, epochs: {EPOCHS}, batches of {args.batch_size}, rank 8")
    result.take_turns(training.work(args, inputs, contenders))
    result.compare("PEFT / rehead", "rehead", "PEFT")
    training.show(result)
    return result
