"""Writes tests/golden/stories.json and versions.json.

The float logits come from the numpy program in reference.py, which shares
nothing with Kinglet but the equations: recurrent, double precision. Those in
versions.json are of random checkpoints that `kinglet synth` makes. Tokens and
hashes of the quantized images come from `kinglet run` (target/release); a
change there must be meant, and said in the changelog.

Needs numpy. Run from the root of the repository, after `cargo build --release`.
"""

import ast
import json
import struct
import subprocess
import tempfile

import numpy as np

from reference import logits

KINGLET = "target/release/kinglet"
CHECKPOINT = "models/stories.safetensors"
PROMPT = "One day, a small bird found a"


def read_safetensors(path):
    data = open(path, "rb").read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    types = {"F32": "<f4", "F16": "<f2"}
    tensors = {}
    for name, info in header.items():
        if name != "__metadata__":
            begin, end = info["data_offsets"]
            raw = np.frombuffer(data[8 + size + begin : 8 + size + end], types[info["dtype"]])
            tensors[name] = raw.astype(np.float64).reshape(info["shape"])
    return tensors


def longest_matches(text):
    """The tokens of a text by the vocabulary in the checkpoint's notes."""
    data = open(CHECKPOINT, "rb").read()
    (size,) = struct.unpack("<Q", data[:8])
    lines = json.loads(data[8 : 8 + size])["__metadata__"]["kinglet.vocabulary"].splitlines()
    fields = [line.split(" ", 1) for line in lines]
    ids = {ast.literal_eval(rest.rsplit(" ", 1)[0]): int(id) for id, rest in fields}
    tokens = []
    while text:
        token = next(text[:n] for n in range(len(text), 0, -1) if text[:n] in ids)
        tokens.append(ids[token])
        text = text[len(token) :]
    return tokens


def image_run(weights, folder):
    image = f"{folder}/{weights}.kgl"
    subprocess.check_call([KINGLET, "quantize", CHECKPOINT, "-o", image, "--weights", weights, "--json"])
    run = subprocess.check_output([KINGLET, "run", image, "--prompt", PROMPT, "-n", "24", "--json"])
    run = json.loads(run)
    return {"tokens": run["tokens"], "logits_hashes": run["logits_hashes"]}


def stories():
    golden = {"prompt": PROMPT}
    with tempfile.TemporaryDirectory() as folder:
        for weights in ["int8", "int4"]:
            golden[weights] = image_run(weights, folder)
    golden["prompt_ids"] = longest_matches(PROMPT.encode())
    tensors = read_safetensors(CHECKPOINT)
    golden["float_logits"] = rounded(logits(tensors, golden["prompt_ids"])[-1])
    return golden


# Odd sizes, and ranks that differ: no two dimensions can be confused.
SIZES = "--layers 3 --channels 42 --ffn 58 --vocab 37 --seed 5".split()
HEADS = ["--head-size", "14"]
VERSIONS = {
    "v4": [],
    "v5.0": HEADS,
    "v5.1": HEADS,
    "v5": HEADS,
    "v6": [*HEADS, "--ranks", "11,5"],
    "v7": [*HEADS, "--ranks", "6,9,4,13"],
}
TOKENS = [(i * 2654435761 % 2**32) * 37 >> 32 for i in range(400)]

# After the first token nothing is remembered yet; after the last, much.
POSITIONS = [0, 1, 39, 399]


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def versions():
    golden = {"tokens": TOKENS, "positions": POSITIONS, "models": []}
    with tempfile.TemporaryDirectory() as folder:
        for version, options in VERSIONS.items():
            path = f"{folder}/{version}.safetensors"
            synth = ["--version", version, *SIZES, *options]
            subprocess.check_call([KINGLET, "synth", "-o", path, *synth])
            tensors = read_safetensors(path)
            for gn_eps in ["64e-5"] if version == "v4" else ["64e-5", "1e-5"]:
                all_logits = logits(tensors, TOKENS, version, 14 if options else 0, float(gn_eps))
                model = {"synth": synth, "checkpoint_fnv1a": fnv1a(open(path, "rb").read()), "gn_eps": gn_eps}
                model["logits"] = [rounded(all_logits[t]) for t in POSITIONS]
                golden["models"].append(model)
    return golden


def rounded(values):
    return [round(float(v), 6) for v in values]


def compact(versions):
    """JSON with one line for each list of numbers."""
    models = ["  " + json.dumps(model).replace(' "logits": ', '\n   "logits": ').replace("], [", "],\n   [")
              for model in versions["models"]]
    head = [f' "{key}": {json.dumps(versions[key])},' for key in ["tokens", "positions"]]
    return "\n".join(["{", *head, ' "models": [', ",\n".join(models), " ]", "}", ""])


def main():
    with open("tests/golden/stories.json", "w") as out:
        json.dump(stories(), out, indent=1)
        out.write("\n")
    with open("tests/golden/versions.json", "w") as out:
        out.write(compact(versions()))


if __name__ == "__main__":
    main()
