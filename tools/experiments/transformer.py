"""RWKV-4 and a Transformer: the same parameters, the same tokens, each at its best
learning rate, three seeds. Keeps a line of JSON of each training in
FOLDER/results.jsonl, and does not repeat those that are there; docs/experiments.md has
the tables, which table.py makes.

The learning rate is doubled or halved, in short trainings of one seed, until the
best has a worse one on either side; the long trainings have that one.

usage: python3 tools/experiments/transformer.py [SIZE:SHORT:LONG ...] --text FILE... --validation FILE --folder FOLDER
"""

import argparse
import pathlib

from trainings import SEEDS, Log, build, train

# Layers, channels, hidden channels of RWKV-4 and of the Transformer: hidden
# channels make up for the matrices that one has and the other not.
SIZES = {"small": (2, 64, 256, 196), "large": (4, 128, 512, 387)}
CONTEXT = 256
# Channels of a head of the Transformer.
HEAD = 32
VOCAB = 512
# The best of short trainings: tuning begins there.
FIRST_RATES = {"small": {"v4": 0.012, "gpt": 0.006}, "large": {"v4": 0.006, "gpt": 0.003}}
KEYS = ["network", "size", "steps", "rate", "seed"]


def run(files, network, size, steps, rate, seed):
    layers, channels, rwkv_hidden, gpt_hidden = SIZES[size]
    own = {"hidden": gpt_hidden, "head-size": HEAD} if network == "gpt" else {"hidden": rwkv_hidden}
    options = {
        "validation": files.validation, "version": network, "layers": layers, "channels": channels,
        "vocab": VOCAB, "context": CONTEXT, "validation-context": CONTEXT,
        "steps": steps, "learning-rate": rate, "weight-decay": 0.1, "seed": seed,
        "output": files.folder / f"{network}-{size}-{steps}-{rate}-{seed}.safetensors", **own,
    }  # fmt: skip
    result = train(files.text, options)
    del result["output"], result["seconds"]
    return {"network": network, "size": size, "rate": rate, "seed": seed, **result}


def tune(log, one, size, steps):
    """The best learning rate of each network, of the first seed."""
    best = FIRST_RATES[size]
    while True:
        near = {network: (rate / 2, rate, rate * 2) for network, rate in best.items()}
        jobs = [(network, size, steps, rate, SEEDS[0]) for network in near for rate in near[network]]
        # The last of a network is its best.
        runs = sorted(log.all(jobs, one), key=lambda run: -run["best_validation"])
        nearest = {run["network"]: run["rate"] for run in runs}
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
    build()
    log = Log(files.folder, KEYS)
    one = lambda *job: run(files, *job)
    for job in files.jobs:
        size, short, long = job.split(":")
        rates = tune(log, one, size, int(short))
        log.all([(network, size, int(long), rate, seed) for seed in SEEDS for network, rate in rates.items()], one)


if __name__ == "__main__":
    main()
