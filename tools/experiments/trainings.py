"""Trainings of an experiment, which goes on where it was stopped."""

import concurrent.futures
import json
import os
import subprocess

KINGLET = "target/release/kinglet"
SEEDS = [1, 2, 3]


def build():
    subprocess.run(["cargo", "build", "--release", "--quiet", "--package", "kinglet-host"], check=True)


def kinglet(*arguments):
    """What the program prints, without its progress and notes."""
    command = [KINGLET, *map(str, arguments), "--quiet"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def train(text, options):
    """What `train --json` prints, of a training of one thread, which goes on where it was stopped."""
    options = {"threads": 1, **options}
    named = [part for name, value in options.items() for part in (f"--{name}", value)]
    return json.loads(kinglet("train", "--json", "--text", *text, *named))


class Log:
    """The runs of FOLDER/results.jsonl, told apart by some of their values."""

    def __init__(self, folder, keys):
        self.path, self.keys = folder / "results.jsonl", keys
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.runs = {self.job(run): run for run in map(json.loads, lines)}

    def job(self, run):
        return tuple(run[key] for key in self.keys)

    def all(self, jobs, train):
        """The run of each job; `train` makes those that are not there."""
        left = [job for job in dict.fromkeys(jobs) if job not in self.runs]
        # A thread for each: what one core does faster than a part of each.
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for done in concurrent.futures.as_completed([pool.submit(train, *job) for job in left]):
                self.add(done.result())
        return [self.runs[job] for job in jobs]

    def add(self, run):
        self.runs[self.job(run)] = run
        print(*self.job(run), flush=True)
        with self.path.open("a") as log:
            print(json.dumps(run), file=log)
