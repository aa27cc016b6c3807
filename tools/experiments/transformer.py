"""RWKV-4 and a plain Transformer: the same parameters, the same tokens, each
at its best learning rate, three seeds. Prints a line of JSON for each
training; docs/experiments.md has the table, which table.py makes.

The learning rate is doubled or halved, one seed each, until the best has a
worse one on either side; the other seeds are trained at the best alone.

usage: python3 tools/experiments/transformer.py TEXT VALIDATION FOLDER [SIZE:STEPS ...]
"""

import json
import pathlib
import subprocess
import sys

# Layers, channels, hidden channels of RWKV-4 and of the Transformer: hidden
# channels make up for the matrices and tables that one has and the other not.
SIZES = {"small": (2, 64, 256, 228), "large": (4, 128, 512, 548)}
CONTEXT = 256
FIRST_RATE = 0.006
SEEDS = [1, 2, 3]
KINGLET = "target/release/kinglet"


def train(files, network, size, steps, rate, seed):
    layers, channels, rwkv_hidden, gpt_hidden = SIZES[size]
    text, validation, folder = files
    hidden, head = (gpt_hidden, 32) if network == "gpt" else (rwkv_hidden, 64)
    options = {
        "text": text, "validation": validation, "version": network, "layers": layers, "channels": channels,
        "hidden": hidden, "head-size": head, "vocab": 512, "context": CONTEXT, "validation-context": CONTEXT,
        "steps": steps, "learning-rate": rate, "weight-decay": 0.1, "seed": seed,
        "output": pathlib.Path(folder) / "model.safetensors",
    }  # fmt: skip
    command = [KINGLET, "train", "--fresh", "--json"]
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

    best = FIRST_RATE
    score(best)
    while True:
        nearest = min((best / 2, best, best * 2), key=score)
        if nearest == best:
            return best
        best = nearest


def main():
    files, jobs = sys.argv[1:4], sys.argv[4:] or ["small:400", "large:400"]
    pathlib.Path(files[2]).mkdir(parents=True, exist_ok=True)
    subprocess.run(["cargo", "build", "--release", "--quiet", "--package", "kinglet-host"], check=True)
    for job in jobs:
        size, steps = job.split(":")
        for network in ["v4", "gpt"]:
            rate = tune(files, network, size, int(steps))
            for seed in SEEDS[1:]:
                train(files, network, size, int(steps), rate, seed)


main()
