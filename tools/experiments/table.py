"""Tables and a plot of docs/experiments.md, from the lines that
transformer.py keeps and the measured costs of kernels (host/src/plan/cores.toml).

usage: python3 tools/experiments/table.py RESULTS.jsonl [PLOT.svg] > tables.md
Needs Python 3.11 for tomllib, and nothing else.
"""

import json
import math
import pathlib
import sys
import tomllib
from collections import Counter, defaultdict

from transformer import CONTEXT, HEAD, SIZES, VOCAB

ROOT = pathlib.Path(__file__).parents[2]
NAMES = {"v4": "RWKV-4", "gpt": "Transformer"}
# Tokens of a step of training.
TOKENS = 8 * CONTEXT
POSITIONS = [1, 100, 1000]
# Instructions of an exponential of the softmax, one for each position and head.
EXP = 24


def results(path):
    """The trainings of each size and network: the short ones of the first seed, by rate,
    and the long ones at the rate that was chosen, by seed."""
    found = defaultdict(list)
    for line in open(path):
        run = json.loads(line)
        found[run["size"], run["network"]].append(run)
    return {key: parted(runs) for key, runs in found.items()}


def parted(runs):
    steps = sorted({run["steps"] for run in runs})
    long = [run for run in runs if run["steps"] == steps[-1]]
    (rate, _), = Counter(run["rate"] for run in long).most_common(1)
    seeds = {run["seed"]: run for run in long if run["rate"] == rate}
    first = {run["rate"]: run for run in runs if run["steps"] == steps[0] and run["seed"] == 1}
    return list(first.values()), [seeds[seed] for seed in sorted(seeds)]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def header(*columns):
    print("| " + " | ".join(map(str, columns)) + " |")
    print("|---|---|" + "---:|" * (len(columns) - 2))


def row(size, network, *cells):
    print("| " + " | ".join([size, NAMES[network], *cells]) + " |")


def quality(found):
    header("size", "network", "parameters", "learning rate", "each seed", "mean")
    for (size, network), (_, long) in found.items():
        scores = [run["best_validation"] for run in long]
        each = ", ".join(f"{score:.4f}" for score in scores)
        row(size, network, f"{long[0]['parameters']:,}", str(long[0]["rate"]), each, f"**{mean(scores):.4f}**")
    print("\nLearning rates, one seed of short trainings:\n")
    header("size", "network", "steps", "bits per byte at each learning rate")
    for (size, network), (short, _) in found.items():
        rates = sorted((run["rate"], run["best_validation"]) for run in short)
        row(size, network, f"{short[0]['steps']:,}", ", ".join(f"{rate:g}: {score:.3f}" for rate, score in rates))
    print("\nAfter how many tokens:\n")
    any_run = next(iter(found.values()))[1][0]
    points = [len(any_run["curve"]) * share // 20 - 1 for share in (1, 2, 5, 10, 15, 20)]
    header("size", "network", *(f"{any_run['curve'][point]['step'] * TOKENS / 1e6:.1f} M" for point in points))
    for (size, network), (_, long) in found.items():
        row(size, network, *(f"{mean(run['curve'][point]['validation'] for run in long):.3f}" for point in points))
    print("\nBy the position in the text, at the end:\n")
    ranges = len(any_run["by_position"])
    header("size", "network", *("1" if i == 0 else f"{2**i} to {2 ** (i + 1) - 1}" for i in range(ranges)))
    for (size, network), (_, long) in found.items():
        row(size, network, *(f"{mean(run['by_position'][i] for run in long):.3f}" for i in range(ranges)))
    print()


class Core:
    """What a token costs on a core, by the coefficients of `kinglet plan`."""

    def __init__(self, name):
        self.cost = tomllib.loads((ROOT / "host/src/plan/cores.toml").read_text())[name]

    def product(self, rows, cols, bits="int4"):
        cost = self.cost["products"][bits]
        return cost["mac"] * rows * cols + cost["row"] * rows + cost["column"] * cols + cost["product"]

    def rest(self, layers, channels, hidden):
        rest = defaultdict(float, self.cost["rest"]["RWKV-4"])
        return (
            rest["layer"] * layers
            + rest["layer_channel"] * layers * channels
            + rest["layer_hidden"] * layers * hidden
            + rest["channel"] * channels
            + rest["vocab"] * VOCAB
            + rest["token"]
        )

    def rwkv(self, size, _):
        layers, c, f, _ = SIZES[size]
        layer = 5 * self.product(c, c) + self.product(f, c) + self.product(c, f)
        return layers * layer + self.product(VOCAB, c) + self.rest(layers, c, f), 4 * layers * (4 * c + 1)

    def transformer(self, size, position):
        """Norms and element-wise work as in RWKV-4; keys and values are kept
        in 8 bits and multiplied by the int8 kernel."""
        layers, c, _, f = SIZES[size]
        layer = 4 * self.product(c, c) + 2 * self.product(f, c) + self.product(c, f)
        heads = c // HEAD
        layer += heads * (self.product(position, HEAD, "int8") + self.product(HEAD, position, "int8") + EXP * position)
        return layers * layer + self.product(VOCAB, c) + self.rest(layers, c, f), 2 * layers * c * position


def cost(core):
    print("| network | size | position | instructions | bytes that are kept |")
    print("|---|---|---:|---:|---:|")
    for size in SIZES:
        for network, of in [("v4", core.rwkv), ("gpt", core.transformer)]:
            for position in POSITIONS:
                instructions, kept = of(size, position)
                print(f"| {NAMES[network]} | {size} | {position:,} | {instructions:,.0f} | {kept:,} |")
    print()


def plot(core, path):
    width, height, left, bottom = 640, 360, 70, 40
    positions = [2**i for i in range(13)]
    curves = {n: [of("large", p)[0] for p in positions] for n, of in [("v4", core.rwkv), ("gpt", core.transformer)]}
    top = max(map(max, curves.values())) * 1.05
    x = lambda p: left + (width - left - 20) * math.log2(p) / 12
    y = lambda v: 20 + (height - 20 - bottom) * (1 - v / top)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">']
    out.append(f'<rect width="{width}" height="{height}" fill="white"/>')
    for p in positions[::2]:
        out.append(f'<text x="{x(p):.0f}" y="{height - 22}" text-anchor="middle">{p:,}</text>')
    for i in range(5):
        v = top * i / 4
        out.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(v):.0f}" y2="{y(v):.0f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y(v) + 4:.0f}" text-anchor="end">{v / 1e6:.1f} M</text>')
    for (name, values), color in zip(curves.items(), ["#c0392b", "#2c5aa0"]):
        points = " ".join(f"{x(p):.1f},{y(v):.1f}" for p, v in zip(positions, values))
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        out.append(f'<text x="{width - 24}" y="{y(values[-1]) - 6:.0f}" text-anchor="end" fill="{color}">{NAMES[name]}</text>')
    out.append(f'<text x="{width / 2}" y="{height - 4}" text-anchor="middle">position in the text</text>')
    out.append(f'<text x="{left}" y="14">instructions per token on a Cortex-M4, int4, about a million parameters</text></svg>')
    pathlib.Path(path).write_text("\n".join(out) + "\n")


def main():
    core = Core("m4")
    quality(results(sys.argv[1]))
    cost(core)
    if len(sys.argv) > 2:
        plot(core, sys.argv[2])


main()
