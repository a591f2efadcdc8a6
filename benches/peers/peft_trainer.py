"""Fine-tunes with PEFT's LoRA in Hugging Face's Trainer on a CSV file, to compare with `rehead train --strategy lora`.

python peft_trainer.py --train train.csv --test test.csv --model DIR --json

The adapters have rank 8, alpha 16 and no dropout, and sit on the six projections of each layer; pooler and classifier
are trained whole. The Trainer has its best settings (trainer.py): bf16 where the hardware supports it, batches
grouped by length, fused AdamW, SDPA, a linear warm-up over 10 % of the steps. The time is that of `trainer.train()`
alone, after a few warm-up steps that are undone.
"""

import argparse
import copy
import json
import tempfile
import time
from functools import partial

import common
import peft
import torch
import trainer as plain
from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed

RANK, ALPHA = 8, 16
TARGETS = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
TRAINED_WHOLE = ["pooler.dense", "classifier"]


def main():
    arguments = parse()
    common.quiet()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = common.device_of(arguments.device)
    bf16 = common.has_fast_bf16(device)

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    texts, labels = common.read_rows(arguments.train, arguments.text, arguments.label)
    names = sorted(set(labels))
    train = plain.encode(tokenizer, texts, labels, names, arguments.max_length)
    texts, labels = common.read_rows(arguments.test, arguments.text, arguments.label)
    test = plain.encode(tokenizer, texts, labels, names, arguments.max_length)

    # The seed decides the head, the adapters and the order of the batches.
    set_seed(arguments.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.model,
        dtype=torch.float32,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
        attn_implementation="sdpa",
    )
    adapters = peft.LoraConfig(
        task_type=peft.TaskType.SEQ_CLS,
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=0.0,
        target_modules=TARGETS,
        modules_to_save=TRAINED_WHOLE,
    )
    model = peft.get_peft_model(model, adapters)

    with tempfile.TemporaryDirectory() as scratch:
        build = partial(plain.trainer_of, model, tokenizer, train, arguments, device, bf16, False, scratch)
        weights = copy.deepcopy(model.state_dict())
        build(plain.WARM_UP_STEPS).train()
        model.load_state_dict(weights)
        trainer = build(-1)
        common.synchronize(device)
        start = time.perf_counter()
        outcome = trainer.train()
        common.synchronize(device)
        seconds = time.perf_counter() - start
        accuracy = plain.accuracy(trainer, test)

    tokens = trainer.data_collator.tokens_of(outcome.global_step)
    result = {
        "peer": "PEFT with transformers Trainer",
        "model": arguments.model,
        "seed": arguments.seed,
        "precision": "bf16" if bf16 else "fp32",
        "compiled": False,
        "rank": RANK,
        "learning_rate": trainer.args.learning_rate,
        "batch_size": arguments.batch_size,
        "max_length": arguments.max_length,
        "optimizer": str(trainer.args.optim.value),
        "epochs": arguments.epochs,
        "steps": outcome.global_step,
        "train_rows": len(train),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "train_seconds": round(seconds, 3),
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1),
        "train_loss": outcome.training_loss,
        "test_accuracy": accuracy,
    } | common.surroundings(device)
    result["versions"]["peft"] = peft.__version__
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        print(
            f"LoRA ({result['precision']}): {seconds:.1f} s for {outcome.global_step} steps,"
            f" {result['tokens_per_second']:.0f} tokens/s without padding; test accuracy {accuracy:.4f}"
        )


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="CSV")
    parser.add_argument("--test", required=True, help="CSV; evaluated once, after training")
    parser.add_argument("--model", required=True, help="model directory")
    parser.add_argument("--text", default="text", help="text column")
    parser.add_argument("--label", default="label", help="label column")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, help="default: torch's own choice")
    parser.add_argument("--json", action="store_true")
    # trainer.py chooses its settings by the mode.
    parser.set_defaults(mode="best")
    return parser.parse_args()


if __name__ == "__main__":
    main()
