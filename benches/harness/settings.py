"""The command line of benches/run, and what follows from it."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED_DATA = ROOT.parent / "shared/data/sst2"
OWN_DATA = ROOT / "data/reviews"

# Sizes, and those of --quick, which shows that everything runs and measures nothing.
SIZES = {
    "repeats": (3, 1, "of every contender; medians are compared"),
    "train_rows": (1280, 96, "of the training data, drawn by --seed, for full and frozen"),
    "label_rows": (6000, 300, "distinct texts for label, features and tokenise"),
    "memory_rows": (1_000_000, 30_000, "of the long file for memory; the goal is for 10000000"),
}


def parse(description, measures):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_argument_group("what is measured")
    what.add_argument("--only", help=f"some of {','.join(measures)}, separated by commas")
    what.add_argument("--quick", action="store_true", help="tiny sizes: a trial of some minutes, no figures")
    what.add_argument("--whole", action="store_true", help="full and frozen on all the data, with accuracies")
    what.add_argument("--seeds", default="42", help="of --whole, separated by commas; the first elsewhere [default: 42]")
    for name, (usual, quick, meaning) in SIZES.items():
        flag = "--" + name.replace("_", "-")
        what.add_argument(flag, type=int, metavar="N", help=f"{meaning} [default: {usual}, quick {quick}]")
    on = parser.add_argument_group("on what")
    on.add_argument("--data", type=Path, help="folder with train.csv, test.csv and perhaps dev.csv (text,label)")
    on.add_argument("--model", default=str(ROOT / ".models/all-MiniLM-L6-v2"), help="directory, or random-base")
    on.add_argument("--classifier", type=Path, help="directory, for labelling [default: one is trained and kept]")
    on.add_argument("--photographs", type=Path, help="folder with train and test of class folders, for images")
    on.add_argument("--architecture", default="resnet18", help="timm's name of the network for images [default: resnet18]")
    on.add_argument("--batch-size", type=int, default=32, metavar="N", help="of training and of the peers [default: 32]")
    on.add_argument("--max-length", type=int, default=128, metavar="N", help="tokens kept of a text [default: 128]")
    on.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    on.add_argument("--threads", type=int, default=2, metavar="N", help="of every process [default: 2]")
    other = parser.add_argument_group("programs and results")
    other.add_argument("--rehead", type=Path, default=ROOT / "target/release/rehead", metavar="PATH")
    other.add_argument("--out", type=Path, metavar="FILE.json", help="raw numbers, commands, versions and machine")
    args = parser.parse_args()

    args.only = args.only.split(",") if args.only else list(measures)
    unknown = sorted(set(args.only) - set(measures))
    if unknown:
        parser.error(f"--only: {', '.join(unknown)} is none of {', '.join(measures)}")
    args.seeds = [int(seed) for seed in args.seeds.split(",")]
    for name, (usual, quick, _) in SIZES.items():
        if getattr(args, name) is None:
            setattr(args, name, quick if args.quick else usual)
    # Absolute, since processes run in the project's folder.
    args.data = (args.data or (SHARED_DATA if SHARED_DATA.exists() else OWN_DATA)).resolve()
    args.rehead = args.rehead.resolve()
    if args.photographs:
        args.photographs = args.photographs.resolve()
        if not (args.photographs / "train").is_dir():
            sys.exit(f"{args.photographs / 'train'} is not there")
    for path in [args.data / "train.csv", args.data / "test.csv", args.rehead]:
        if not path.exists():
            sys.exit(f"{path} is not there")
    return args
