"""Writes tests/golden/stories.json.

The float logits come from the numpy program below, which shares nothing with
Kinglet but the equations: RWKV-4, recurrent, double precision. Tokens and
hashes of the quantized images come from `kinglet run` (target/release); a
change there must be meant, and said in the changelog.

Needs numpy. Run from the root of the repository, after `cargo build --release`.
"""

import json
import struct
import subprocess
import tempfile

import numpy as np

CHECKPOINT = "models/stories-bytes.safetensors"
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


def float_logits(t, tokens):
    channels = t["emb.weight"].shape[1]
    layers = 1 + max(int(n.split(".")[1]) for n in t if n.startswith("blocks."))
    vec = lambda name: t[name].reshape(-1)
    sig = lambda x: 1 / (1 + np.exp(-x))

    def norm(x, name):
        return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * vec(name + ".weight") + vec(name + ".bias")

    zeros = lambda: np.zeros((layers, channels))
    att_x, ffn_x, aa, bb, pp = zeros(), zeros(), zeros(), zeros(), zeros() - 1e30
    for token in tokens:
        x = norm(t["emb.weight"][token], "blocks.0.ln0")
        for i in range(layers):
            p = f"blocks.{i}."
            mix = lambda kind, x, old: x * vec(p + kind) + old * (1 - vec(p + kind))
            xx = norm(x, p + "ln1")
            k = t[p + "att.key.weight"] @ mix("att.time_mix_k", xx, att_x[i])
            v = t[p + "att.value.weight"] @ mix("att.time_mix_v", xx, att_x[i])
            r = sig(t[p + "att.receptance.weight"] @ mix("att.time_mix_r", xx, att_x[i]))
            att_x[i] = xx
            w, u = -np.exp(vec(p + "att.time_decay")), vec(p + "att.time_first")
            q = np.maximum(pp[i], u + k)
            e1, e2 = np.exp(pp[i] - q), np.exp(u + k - q)
            x = x + t[p + "att.output.weight"] @ (r * (e1 * aa[i] + e2 * v) / (e1 * bb[i] + e2))
            q = np.maximum(pp[i] + w, k)
            e1, e2 = np.exp(pp[i] + w - q), np.exp(k - q)
            aa[i], bb[i], pp[i] = e1 * aa[i] + e2 * v, e1 * bb[i] + e2, q
            xx = norm(x, p + "ln2")
            k = t[p + "ffn.key.weight"] @ mix("ffn.time_mix_k", xx, ffn_x[i])
            r = sig(t[p + "ffn.receptance.weight"] @ mix("ffn.time_mix_r", xx, ffn_x[i]))
            ffn_x[i] = xx
            x = x + r * (t[p + "ffn.value.weight"] @ np.maximum(k, 0) ** 2)
    return t["head.weight"] @ norm(x, "ln_out")


def image_run(weights, folder):
    image = f"{folder}/{weights}.kgl"
    kinglet = "target/release/kinglet"
    subprocess.check_call([kinglet, "quantize", CHECKPOINT, "-o", image, "--weights", weights, "--json"])
    run = subprocess.check_output([kinglet, "run", image, "--prompt", PROMPT, "-n", "24", "--json"])
    run = json.loads(run)
    return {"tokens": run["tokens"], "logits_hashes": run["logits_hashes"]}


def main():
    golden = {"prompt": PROMPT}
    with tempfile.TemporaryDirectory() as folder:
        for weights in ["int8", "int4"]:
            golden[weights] = image_run(weights, folder)
    logits = float_logits(read_safetensors(CHECKPOINT), PROMPT.encode())
    golden["float_logits"] = [round(float(v), 6) for v in logits]
    with open("tests/golden/stories.json", "w") as out:
        json.dump(golden, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
