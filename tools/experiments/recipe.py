"""What each line of models/stories.toml is worth: the recipe in short, and with one
line changed, up to three seeds each. Keeps a line of JSON of each training, then prints the
table of docs/experiments.md. Lines that FOLDER/results.jsonl has are not trained again.

usage: python3 tools/experiments/recipe.py --text FILE... --validation FILE --folder FOLDER
"""

import argparse
import json
import pathlib
import statistics
import tomllib

from trainings import SEEDS, Log, build, kinglet, train

STEPS = 600
# Of 0.004 to 0.032 the best for so few steps.
RATE = 16e-3
# Where a change makes the image larger or smaller, hidden channels make up for it.
CHANGES = {
    "as it is": {},
    "AdamW in place of Muon, at its best rate": {"matrices": "adamw", "learning-rate": 8e-3},
    "last learning rate 5 %": {"last": 0.05},
    "weight decay 0.01": {"weight-decay": 0.01},
    "weight decay 1": {"weight-decay": 1.0},
    "vocabulary of 256": {"vocab": 256, "hidden": 608},
    "vocabulary of 1,024": {"vocab": 1024, "hidden": 320},
    "2 layers of 192 channels": {"layers": 2, "channels": 192, "hidden": 640},
    "6 layers of 96 channels": {"layers": 6, "channels": 96, "hidden": 496},
    "batches of 16 sequences": {"batch": 16, "budget": {"steps": STEPS // 2}},
    "batches of 4 sequences of 512 tokens": {"batch": 4, "context": 512},
    "rounding from the start": {"qat-from": 0.0},
    "RWKV-7, 3 layers": {"version": "v7", "layers": 3},
    "RWKV-5, 3 layers": {"version": "v5", "layers": 3, "hidden": 608},
    "RWKV-6, 3 layers": {"version": "v6", "layers": 3, "hidden": 368},
}


def changed(recipe, change):
    """The text of a recipe with some settings replaced."""
    optimizer = {**recipe["optimizer"], "learning-rate": RATE}
    settings = {**recipe, "budget": {"steps": STEPS}}
    del settings["optimizer"]
    for name, value in change.items():
        (optimizer if name in recipe["optimizer"] else settings)[name] = value
    steps = settings.pop("budget")["steps"]
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    lines += [f"budget = {{ steps = {steps} }}", "[optimizer]"]
    return "\n".join(lines + [f"{name} = {json.dumps(value)}" for name, value in optimizer.items()])


def run(files, recipe, name, seed):
    folder = files.folder / f"{list(CHANGES).index(name)}-{seed}"
    folder.mkdir(exist_ok=True)
    (folder / "recipe.toml").write_text(changed(recipe, CHANGES[name]))
    model, image = folder / "model.safetensors", folder / "model.kgl"
    options = {"recipe": folder / "recipe.toml", "validation": files.validation, "seed": seed, "output": model}
    result = train(files.text, options)
    kinglet("quantize", model, "--weights", "int4", "--head", "int4", "--output", image)
    size = image.stat().st_size
    return {"change": name, "seed": seed, "bytes": size, "bits": result["best_validation"]}


def table(results):
    """Changes against the recipe, seed by seed: what seeds have in common is not in the difference."""
    scores = {(run["change"], run["seed"]): run["bits"] for run in results}
    base = [scores["as it is", seed] for seed in SEEDS]
    sizes = {run["change"]: run["bytes"] for run in results}
    print("| change | image, bytes | each seed | mean | more than the recipe |\n|---|---:|---|---:|---:|")
    for name in CHANGES:
        ours = [scores[name, seed] for seed in SEEDS if (name, seed) in scores]
        if not ours:
            continue
        each = ", ".join(f"{bits:.4f}" for bits in ours)
        more = [100 * (bits / of - 1) for bits, of in zip(ours, base)]
        spans = sorted({f"{least:+.1f}" for least in (min(more), max(more))}, key=float)
        span = f"{' to '.join(spans)} %" if any(more) else ""
        print(f"| {name} | {sizes[name]:,} | {each} | {statistics.mean(ours):.4f} | {span} |")


def main():
    arguments = argparse.ArgumentParser(usage=__doc__)
    arguments.add_argument("--text", nargs="+", required=True)
    arguments.add_argument("--validation", required=True)
    arguments.add_argument("--folder", type=pathlib.Path, required=True)
    files = arguments.parse_args()
    files.folder.mkdir(parents=True, exist_ok=True)
    build()
    recipe = tomllib.loads(pathlib.Path("models/stories.toml").read_text())
    jobs = [(name, seed) for seed in SEEDS for name in CHANGES]
    table(Log(files.folder, ["change", "seed"]).all(jobs, lambda *job: run(files, recipe, *job)))


main()
