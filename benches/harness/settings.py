"""The command line of benches/run and its defaults."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED_DATA = ROOT.parent / "shared/data/sst2"
OWN_DATA = ROOT / "data/reviews"

# By setting: its default, its value with --quick (which only checks that everything runs), and its help.
SIZES = {
    "repeats": (3, 1, "repeats of every contender; medians are compared"),
    "train_rows": (1280, 96, "training rows for full and frozen, drawn with the first of --seeds"),
    "label_rows": (6000, 300, "distinct texts for label, features and tokenise"),
    "memory_rows": (1_000_000, 30_000, "lines of the long file for memory; the goal is for 10000000"),
}


def parse(description, measures):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_argument_group("what is measured")
    what.add_argument("--only", help=f"measurements to run, separated by commas: {','.join(measures)}")
    what.add_argument("--quick", action="store_true", help="tiny sizes: checks that everything runs, in some minutes")
    what.add_argument("--whole", action="store_true", help="full and frozen train on all the data, with accuracies")
    seeds = "seeds, separated by commas; many measurements use only the first [default: 42]"
    what.add_argument("--seeds", default="42", help=seeds)
    for name, (usual, quick, meaning) in SIZES.items():
        flag = "--" + name.replace("_", "-")
        what.add_argument(flag, type=int, metavar="N", help=f"{meaning} [default: {usual}, quick {quick}]")
    on = parser.add_argument_group("on what")
    on.add_argument("--data", type=Path, help="folder with train.csv, test.csv and perhaps dev.csv (text,label)")
    on.add_argument("--model", default=str(ROOT / ".models/all-MiniLM-L6-v2"), help="directory, or random-base")
    on.add_argument("--classifier", type=Path, help="classifier that labels [default: one is trained and kept]")
    on.add_argument("--photographs", type=Path, help="folder with train/CLASS/* and test/CLASS/*, for images")
    architecture = "timm's name of the network for images [default: resnet18]"
    on.add_argument("--architecture", default="resnet18", help=architecture)
    batches = "batch size of training and of the peers [default: 32]"
    on.add_argument("--batch-size", type=int, default=32, metavar="N", help=batches)
    on.add_argument("--max-length", type=int, default=128, metavar="N", help="tokens per text at most [default: 128]")
    on.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    on.add_argument("--threads", type=int, default=2, metavar="N", help="threads of every process [default: 2]")
    other = parser.add_argument_group("programs and results")
    other.add_argument("--rehead", type=Path, default=ROOT / "target/release/rehead", metavar="PATH")
    other.add_argument("--out", type=Path, metavar="FILE.json", help="file for numbers, commands, versions and machine")
    args = parser.parse_args()

    args.only = args.only.split(",") if args.only else list(measures)
    unknown = sorted(set(args.only) - set(measures))
    if unknown:
        parser.error(f"--only: {', '.join(unknown)} is none of {', '.join(measures)}")
    args.seeds = [int(seed) for seed in args.seeds.split(",")]
    for name, (usual, quick, _) in SIZES.items():
        if getattr(args, name) is None:
            setattr(args, name, quick if args.quick else usual)
    # Paths are made absolute because the processes run in the project's folder.
    args.data = (args.data or (SHARED_DATA if SHARED_DATA.exists() else OWN_DATA)).resolve()
    args.rehead = args.rehead.resolve()
    if args.photographs:
        args.photographs = args.photographs.resolve()
        if not (args.photographs / "train").is_dir():
            sys.exit(f"{args.photographs / 'train'} does not exist")
    for path in [args.data / "train.csv", args.data / "test.csv", args.rehead]:
        if not path.exists():
            sys.exit(f"{path} does not exist")
    return args
