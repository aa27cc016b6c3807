"""What each line of a recipe is worth: trainings that differ from it in one line,
three seeds each. Prints the table of docs/experiments.md.

usage: python3 tools/experiments/recipe.py RECIPE STEPS FOLDER VALIDATION TEXT ...
"""

import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tomllib

KINGLET = "target/release/kinglet"
SEEDS = [1, 2, 3]
# What differs, and how: settings of the recipe, or of its optimizer.
VARIANTS = {
    "the recipe": {},
    "AdamW for matrices, at its best rate": {"optimizer": {"matrices": "adamw", "learning-rate": 0.006}},
    "twice the learning rate": {"optimizer": {"learning-rate": lambda rate: 2 * rate}},
    "half the learning rate": {"optimizer": {"learning-rate": lambda rate: rate / 2}},
    "no weight decay": {"optimizer": {"weight-decay": 0.0}},
    "ends at 5 % of the learning rate": {"optimizer": {"last": 0.05}},
    "ten times the weight decay": {"optimizer": {"weight-decay": lambda decay: 10 * decay}},
    "twice the context, half the batch": {"context": lambda tokens: 2 * tokens, "batch": lambda count: count // 2},
    "half the batch": {"batch": lambda count: count // 2},
    "vocabulary of 256": {"vocab": 256},
    "vocabulary of 1,024": {"vocab": 1024},
    "deeper: 7 layers of 96": {"layers": 7, "channels": 96},
    "wider: 3 layers of 144": {"layers": 3, "channels": 144},
    "RWKV-7, 3 layers": {"version": "v7", "layers": 3},
}  # fmt: skip


def changed(recipe, changes):
    """The recipe with these changes."""
    result = dict(recipe)
    for name, change in changes.items():
        if isinstance(change, dict):
            result[name] = changed(recipe[name], change)
        else:
            result[name] = change(recipe[name]) if callable(change) else change
    return result


def toml(recipe):
    """The recipe as a file; tables come last."""
    lines, tables = [], []
    for name, value in recipe.items():
        if isinstance(value, dict):
            tables += [f"[{name}]", toml(value)]
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines + tables)


def train(name, seed, recipe, files):
    folder, validation, *texts = files
    file = pathlib.Path(folder) / f"{name.replace(' ', '-').replace('%', 'percent')}-{seed}.toml"
    file.write_text(toml(recipe))
    command = [KINGLET, "train", "--recipe", file, "--seed", str(seed), "--validation", validation]
    command += ["--text", *texts, "--output", file.with_suffix(".safetensors"), "--fresh", "--json", "--threads", "1"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout)["best_validation"]


def main():
    recipe_file, steps, *files = sys.argv[1:]
    subprocess.run(["cargo", "build", "--release", "--quiet", "--package", "kinglet-host"], check=True)
    pathlib.Path(files[0]).mkdir(parents=True, exist_ok=True)
    base = tomllib.loads(pathlib.Path(recipe_file).read_text())
    # Without rounding, which all of them would have alike.
    for name in ["qat", "qat-from", "budget"]:
        base.pop(name, None)
    base["budget"] = {"steps": int(steps)}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        scores = {
            name: [pool.submit(train, name, seed, changed(base, changes), files) for seed in SEEDS]
            for name, changes in VARIANTS.items()
        }
        print("| training | bits per byte, three seeds | mean |\n|---|---|---:|")
        for name, trainings in scores.items():
            bits = [training.result() for training in trainings]
            each = ", ".join(f"{x:.4f}" for x in bits)
            print(f"| {name} | {each} | {statistics.mean(bits):.4f} |", flush=True)


main()
