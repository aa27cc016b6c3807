"""RWKV-4 and a Transformer: the same parameters, the same tokens, each at its best
learning rate, three seeds. Keeps a line of JSON of each training in
FOLDER/results.jsonl, and does not repeat those that are there; docs/experiments.md has
the tables, which table.py makes.

The learning rate is doubled or halved, in short trainings of one seed, until the
best has a worse one on either side; the long trainings have that one.

usage: python3 tools/experiments/transformer.py [SIZE:SHORT:LONG ...] --text FILE... --validation FILE --folder FOLDER
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess

# Layers, channels, hidden channels of RWKV-4 and of the Transformer: hidden
# channels make up for the matrices that one has and the other not.
SIZES = {"small": (2, 64, 256, 196), "large": (4, 128, 512, 387)}
CONTEXT = 256
FIRST_RATES = {"v4": 0.012, "gpt": 0.006}
SEEDS = [1, 2, 3]
KINGLET = "target/release/kinglet"


class Trainings:
    """A thread for each: what one core does faster than a part of each."""

    def __init__(self, files):
        self.files = files
        self.log = files.folder / "results.jsonl"
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        runs = map(json.loads, lines)
        self.scores = {tuple(run[key] for key in self.KEYS): run["best_validation"] for run in runs}
        self.pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())

    KEYS = ["network", "size", "steps", "rate", "seed"]

    def all(self, jobs):
        """Trains what has not been trained; the scores."""
        left = [job for job in dict.fromkeys(jobs) if job not in self.scores]
        for run in self.pool.map(self.train, left):
            self.scores[tuple(run[key] for key in self.KEYS)] = run["best_validation"]
        return [self.scores[job] for job in jobs]

    def train(self, job):
        network, size, steps, rate, seed = job
        layers, channels, rwkv_hidden, gpt_hidden = SIZES[size]
        own = {"hidden": gpt_hidden, "head-size": 32} if network == "gpt" else {"hidden": rwkv_hidden}
        options = {
            "validation": self.files.validation, "version": network, "layers": layers, "channels": channels,
            "vocab": 512, "context": CONTEXT, "validation-context": CONTEXT, "threads": 1,
            "steps": steps, "learning-rate": rate, "weight-decay": 0.1, "seed": seed,
            "output": self.files.folder / f"{'-'.join(map(str, job))}.safetensors", **own,
        }  # fmt: skip
        command = [KINGLET, "train", "--fresh", "--quiet", "--json", "--text", *self.files.text]
        command += [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        run = {"network": network, "size": size, "rate": rate, "seed": seed, **result}
        del run["output"], run["seconds"]
        with self.log.open("a") as log:
            print(json.dumps(run), file=log)
        print(*job, f"{run['best_validation']:.4f}", flush=True)
        return run


def tune(trainings, network, size, steps):
    """The best learning rate, of the first seed."""
    best = FIRST_RATES[network]
    while True:
        rates = [best / 2, best, best * 2]
        scores = trainings.all([(network, size, steps, rate, SEEDS[0]) for rate in rates])
        nearest = min(zip(scores, rates))[1]
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
    trainings = Trainings(files)
    for job in files.jobs:
        size, short, long = job.split(":")
        networks = {network: tune(trainings, network, size, int(short)) for network in FIRST_RATES}
        jobs = [(network, size, int(long), rate, seed) for network, rate in networks.items() for seed in SEEDS]
        trainings.all(jobs)


main()
