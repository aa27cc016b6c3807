"""RWKV-4 and a Transformer: the same parameters, the same tokens, each at its best
learning rate, three seeds. Prints a line of JSON for each training;
docs/experiments.md has the tables, which table.py makes.

The learning rate is doubled or halved, in short trainings of one seed, until the
best has a worse one on either side; the long trainings have that one.

usage: python3 tools/experiments/transformer.py [SIZE:SHORT:LONG ...] --text FILE... --validation FILE --folder FOLDER
"""

import argparse
import json
import pathlib
import subprocess

# Layers, channels, hidden channels of RWKV-4 and of the Transformer: hidden
# channels make up for the matrices that one has and the other not.
SIZES = {"small": (2, 64, 256, 196), "large": (4, 128, 512, 387)}
CONTEXT = 256
FIRST_RATES = {"v4": 0.012, "gpt": 0.006}
SEEDS = [1, 2, 3]
KINGLET = "target/release/kinglet"


def train(files, network, size, steps, rate, seed):
    layers, channels, rwkv_hidden, gpt_hidden = SIZES[size]
    own = {"hidden": gpt_hidden, "head-size": 32} if network == "gpt" else {"hidden": rwkv_hidden}
    options = {
        "validation": files.validation, "version": network, "layers": layers, "channels": channels,
        "vocab": 512, "context": CONTEXT, "validation-context": CONTEXT,
        "steps": steps, "learning-rate": rate, "weight-decay": 0.1, "seed": seed,
        "output": files.folder / "model.safetensors", **own,
    }  # fmt: skip
    command = [KINGLET, "train", "--fresh", "--json", "--text", *files.text]
    command += [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    run = {"network": network, "size": size, "rate": rate, "seed": seed, **result}
    del run["output"], run["seconds"]
    print(json.dumps(run), flush=True)
    return run["best_validation"]


def tune(files, network, size, steps):
    """The best learning rate, of the first seed."""
    scores = {}

    def score(rate):
        if rate not in scores:
            scores[rate] = train(files, network, size, steps, rate, SEEDS[0])
        return scores[rate]

    best = FIRST_RATES[network]
    score(best)
    while True:
        nearest = min((best / 2, best, best * 2), key=score)
        if nearest == best:
            return best
        best = nearest


def main():
    arguments = argparse.ArgumentParser(usage=__doc__)
    arguments.add_argument("--text", nargs="+", required=True)
    arguments.add_argument("--validation", required=True)
    arguments.add_argument("--folder", type=pathlib.Path, required=True)
    arguments.add_argument("jobs", nargs="*", default=["small:2500:10000", "large:2500:10000"])
    files = arguments.parse_args()
    files.folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cargo", "build", "--release", "--quiet", "--package", "kinglet-host"], check=True)
    for job in files.jobs:
        size, short, long = job.split(":")
        for network in ["v4", "gpt"]:
            rate = tune(files, network, size, int(short))
            for seed in SEEDS:
                train(files, network, size, int(long), rate, seed)


main()
