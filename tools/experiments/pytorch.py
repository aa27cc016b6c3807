"""Tokens a second that the trainer and PyTorch learn from, one after the other in
turns: RWKV-4 and 7, forward pass, backward pass and AdamW, one and two threads.
The recurrences are compiled from C++ for PyTorch, channels side by side.

Both are the same network: PyTorch reads the checkpoint that `kinglet train` wrote,
and must find the loss that `kinglet eval` finds. Prints a table in Markdown: the
medians of some rounds.

usage: python3 tools/experiments/pytorch.py TEXT FOLDER [ROUNDS]
needs: torch, ninja, safetensors, numpy, a C++ compiler
"""

import json
import math
import pathlib
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.utils.cpp_extension import load_inline

LAYERS, CHANNELS, HEAD, CONTEXT, BATCH = 4, 128, 64, 256, 8
VERSIONS = {"v4": "RWKV-4", "v7": "RWKV-7"}
THREADS = [1, 2]
# The speed is that of the steps which a long training has and a short one has not:
# both validate twenty times.
FEW, MANY = 20, 80
KINGLET = "target/release/kinglet"
SAMPLE_BYTES = 4096

CPP = r"""
#include <torch/extension.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>
#include <vector>
using at::Tensor;

// The average of RWKV-4: mantissas A, B and their exponent p, for each channel. Fifty
// channels or so are one piece of work for a thread.
constexpr int PIECE = 64;

std::vector<Tensor> wkv4(Tensor w_, Tensor u_, Tensor k_, Tensor v_) {
  const int64_t b = k_.size(0), t = k_.size(1), c = k_.size(2);
  Tensor y_ = torch::empty_like(k_), kept_ = torch::empty({b, t, 3, c}, k_.options());
  const float *w = w_.data_ptr<float>(), *u = u_.data_ptr<float>(), *k = k_.data_ptr<float>(), *v = v_.data_ptr<float>();
  float *y = y_.data_ptr<float>(), *kept = kept_.data_ptr<float>();
  const int64_t pieces = (c + PIECE - 1) / PIECE;
  at::parallel_for(0, b * pieces, 1, [&](int64_t from, int64_t to) {
    for (int64_t job = from; job < to; job++) {
      const int64_t seq = job / pieces, c0 = job % pieces * PIECE, n = std::min<int64_t>(PIECE, c - c0);
      float A[PIECE] = {}, B[PIECE] = {}, P[PIECE];
      std::fill(P, P + PIECE, -1e30f);
      for (int64_t i = 0; i < t; i++) {
        const int64_t at = (seq * t + i) * c + c0;
        float *sums = kept + (seq * t + i) * 3 * c + c0;
        for (int64_t j = 0; j < n; j++) {
          sums[j] = A[j], sums[c + j] = B[j], sums[2 * c + j] = P[j];
          const float kk = k[at + j], vv = v[at + j], uk = u[c0 + j] + kk;
          const float q = std::max(P[j], uk), e1 = std::exp(P[j] - q), e2 = std::exp(uk - q);
          y[at + j] = (e1 * A[j] + e2 * vv) / (e1 * B[j] + e2);
          const float decayed = P[j] + w[c0 + j], next = std::max(decayed, kk);
          const float f1 = std::exp(decayed - next), f2 = std::exp(kk - next);
          A[j] = f1 * A[j] + f2 * vv, B[j] = f1 * B[j] + f2, P[j] = next;
        }
      }
    }
  });
  return {y_, kept_};
}

std::vector<Tensor> wkv4_back(Tensor w_, Tensor u_, Tensor k_, Tensor v_, Tensor y_, Tensor kept_, Tensor dy_) {
  const int64_t b = k_.size(0), t = k_.size(1), c = k_.size(2);
  Tensor dk_ = torch::empty_like(k_), dv_ = torch::empty_like(k_);
  Tensor dw_ = torch::zeros({b, c}, k_.options()), du_ = torch::zeros({b, c}, k_.options());
  const float *w = w_.data_ptr<float>(), *u = u_.data_ptr<float>(), *k = k_.data_ptr<float>(), *v = v_.data_ptr<float>();
  const float *y = y_.data_ptr<float>(), *kept = kept_.data_ptr<float>(), *dy = dy_.data_ptr<float>();
  float *dk = dk_.data_ptr<float>(), *dv = dv_.data_ptr<float>(), *dw = dw_.data_ptr<float>(), *du = du_.data_ptr<float>();
  const int64_t pieces = (c + PIECE - 1) / PIECE;
  at::parallel_for(0, b * pieces, 1, [&](int64_t from, int64_t to) {
    for (int64_t job = from; job < to; job++) {
      const int64_t seq = job / pieces, c0 = job % pieces * PIECE, n = std::min<int64_t>(PIECE, c - c0);
      float GA[PIECE] = {}, GB[PIECE] = {}, O[PIECE], DW[PIECE] = {}, DU[PIECE] = {};
      std::fill(O, O + PIECE, -1e30f);
      for (int64_t i = t; i-- > 0;) {
        const int64_t at = (seq * t + i) * c + c0;
        const float *sums = kept + (seq * t + i) * 3 * c + c0;
        for (int64_t j = 0; j < n; j++) {
          const float A = sums[j], B = sums[c + j], P = sums[2 * c + j];
          const float kk = k[at + j], vv = v[at + j], uk = u[c0 + j] + kk;
          const float q = std::max(P, uk), e1 = std::exp(P - q), e2 = std::exp(uk - q);
          const float dn = dy[at + j] / (e1 * B + e2), dd = -dn * y[at + j], own = e2 * (vv * dn + dd);
          const float by_key = std::exp(kk + O[j]);
          dv[at + j] = e2 * dn + by_key * GA[j];
          dk[at + j] = own + by_key * (vv * GA[j] + GB[j]);
          DU[j] += own;
          DW[j] += std::exp(P + w[c0 + j] + O[j]) * (A * GA[j] + B * GB[j]);
          const float decayed = O[j] + w[c0 + j], next = std::max(decayed, -q);
          const float f1 = std::exp(decayed - next), f2 = std::exp(-q - next);
          GA[j] = f1 * GA[j] + f2 * dn, GB[j] = f1 * GB[j] + f2 * dd, O[j] = next;
        }
      }
      for (int64_t j = 0; j < n; j++) dw[seq * c + c0 + j] = DW[j], du[seq * c + c0 + j] = DU[j];
    }
  });
  return {dw_.sum(0), du_.sum(0), dk_, dv_};
}

// The matrix state of RWKV-7, `[values, keys]` a head: S = S diag(w) + (S a) b' + v k', y = S r.
constexpr int N = 64;

static void step7(const float *r, const float *w, const float *k, const float *v, const float *a, const float *b,
                  float *S, float *sa, float *y) {
  for (int i = 0; i < N; i++) {
    float *row = S + i * N, sum = 0, out = 0;
    for (int j = 0; j < N; j++) sum += row[j] * a[j];
    for (int j = 0; j < N; j++) row[j] = row[j] * w[j] + sum * b[j] + v[i] * k[j], out += row[j] * r[j];
    sa[i] = sum, y[i] = out;
  }
}

Tensor wkv7(Tensor r_, Tensor w_, Tensor k_, Tensor v_, Tensor a_, Tensor b_) {
  const int64_t batch = r_.size(0), t = r_.size(1), c = r_.size(2), heads = c / N;
  Tensor y_ = torch::empty_like(r_);
  const float *r = r_.data_ptr<float>(), *w = w_.data_ptr<float>(), *k = k_.data_ptr<float>(), *v = v_.data_ptr<float>();
  const float *a = a_.data_ptr<float>(), *b = b_.data_ptr<float>();
  float *y = y_.data_ptr<float>();
  at::parallel_for(0, batch * heads, 1, [&](int64_t from, int64_t to) {
    for (int64_t job = from; job < to; job++) {
      std::vector<float> S(N * N, 0.0f);
      float sa[N];
      for (int64_t i = 0; i < t; i++) {
        const int64_t at = (job / heads * t + i) * c + job % heads * N;
        step7(r + at, w + at, k + at, v + at, a + at, b + at, S.data(), sa, y + at);
      }
    }
  });
  return y_;
}

std::vector<Tensor> wkv7_back(Tensor r_, Tensor w_, Tensor k_, Tensor v_, Tensor a_, Tensor b_, Tensor dy_) {
  const int64_t batch = r_.size(0), t = r_.size(1), c = r_.size(2), heads = c / N;
  const float *r = r_.data_ptr<float>(), *w = w_.data_ptr<float>(), *k = k_.data_ptr<float>(), *v = v_.data_ptr<float>();
  const float *a = a_.data_ptr<float>(), *b = b_.data_ptr<float>(), *dy = dy_.data_ptr<float>();
  std::vector<Tensor> slopes;
  for (int i = 0; i < 6; i++) slopes.push_back(torch::empty_like(r_));
  float *dr = slopes[0].data_ptr<float>(), *dw = slopes[1].data_ptr<float>(), *dk = slopes[2].data_ptr<float>();
  float *dv = slopes[3].data_ptr<float>(), *da = slopes[4].data_ptr<float>(), *db = slopes[5].data_ptr<float>();
  at::parallel_for(0, batch * heads, 1, [&](int64_t from, int64_t to) {
    // All states of a head, computed once more.
    std::vector<float> states((t + 1) * N * N), sums(t * N), G(N * N);
    for (int64_t job = from; job < to; job++) {
      const int64_t first = job / heads * t * c + job % heads * N;
      std::fill(states.begin(), states.begin() + N * N, 0.0f);
      float y[N];
      for (int64_t i = 0; i < t; i++) {
        const int64_t at = first + i * c;
        float *S = states.data() + (i + 1) * N * N;
        std::copy(S - N * N, S, S);
        step7(r + at, w + at, k + at, v + at, a + at, b + at, S, sums.data() + i * N, y);
      }
      std::fill(G.begin(), G.end(), 0.0f);
      for (int64_t i = t; i-- > 0;) {
        const int64_t at = first + i * c;
        const float *before = states.data() + i * N * N, *after = before + N * N, *sa = sums.data() + i * N;
        float DR[N] = {}, DW[N] = {}, DK[N] = {}, DA[N] = {}, DB[N] = {};
        for (int row = 0; row < N; row++) {
          float *g = G.data() + row * N, slope_v = 0, slope_sa = 0;
          const float *s0 = before + row * N, *s1 = after + row * N, d = dy[at + row], value = v[at + row], sum = sa[row];
          for (int j = 0; j < N; j++) {
            g[j] += d * r[at + j];
            DR[j] += d * s1[j], DK[j] += g[j] * value, DB[j] += g[j] * sum, DW[j] += g[j] * s0[j];
            slope_v += g[j] * k[at + j], slope_sa += g[j] * b[at + j];
          }
          dv[at + row] = slope_v;
          for (int j = 0; j < N; j++) DA[j] += slope_sa * s0[j], g[j] = g[j] * w[at + j] + slope_sa * a[at + j];
        }
        for (int j = 0; j < N; j++)
          dr[at + j] = DR[j], dw[at + j] = DW[j], dk[at + j] = DK[j], da[at + j] = DA[j], db[at + j] = DB[j];
      }
    }
  });
  return slopes;
}
"""

FLAGS = ["-O3", "-march=native", "-ffast-math", "-fopenmp"]
NAMES = ["wkv4", "wkv4_back", "wkv7", "wkv7_back"]


class Wkv4(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *inputs):
        y, kept = cpp.wkv4(*inputs)
        ctx.save_for_backward(*inputs, y, kept)
        return y

    @staticmethod
    def backward(ctx, dy):
        return tuple(cpp.wkv4_back(*ctx.saved_tensors, dy.contiguous()))


class Wkv7(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *inputs):
        inputs = [x.contiguous() for x in inputs]
        ctx.save_for_backward(*inputs)
        return cpp.wkv7(*inputs)

    @staticmethod
    def backward(ctx, dy):
        return tuple(cpp.wkv7_back(*ctx.saved_tensors, dy.contiguous()))


def before(x):
    """Each row the one before it."""
    return F.pad(x, (0, 0, 1, -1))


class Network:
    """The tensors of a checkpoint, by their names."""

    def __init__(self, version, tensors):
        self.version = version
        self.tensors = {name: tensor.float().requires_grad_() for name, tensor in tensors.items()}

    def norm(self, x, name):
        t = self.tensors
        return F.layer_norm(x, x.shape[-1:], t[name + ".weight"], t[name + ".bias"], 1e-5)

    def logits(self, tokens):
        t = self.tensors
        x = self.norm(F.embedding(tokens, t["emb.weight"]), "blocks.0.ln0")
        first_values = None
        for layer in range(LAYERS):
            block = f"blocks.{layer}."
            p = {name[len(block) :]: tensor for name, tensor in t.items() if name.startswith(block)}
            xx = self.norm(x, block + "ln1")
            if self.version == "v4":
                x = x + self.time_mix4(p, xx)
                x = x + self.channel_mix4(p, self.norm(x, block + "ln2"))
            else:
                out, first_values = self.time_mix7(p, xx, first_values)
                x = x + out
                xx = self.norm(x, block + "ln2")
                k = F.linear(xx + (before(xx) - xx) * p["ffn.x_k"], p["ffn.key.weight"])
                x = x + F.linear(torch.relu(k) ** 2, p["ffn.value.weight"])
        return F.linear(self.norm(x, "ln_out"), t["head.weight"])

    @staticmethod
    def time_mix4(p, x):
        past = before(x)
        k, v, r = (
            F.linear(past + (x - past) * p["att.time_mix_" + letter], p[f"att.{name}.weight"])
            for letter, name in [("k", "key"), ("v", "value"), ("r", "receptance")]
        )
        y = Wkv4.apply(-torch.exp(p["att.time_decay"]), p["att.time_first"], k, v)
        return F.linear(torch.sigmoid(r) * y, p["att.output.weight"])

    @staticmethod
    def channel_mix4(p, x):
        past = before(x)
        k = F.linear(past + (x - past) * p["ffn.time_mix_k"], p["ffn.key.weight"])
        r = F.linear(past + (x - past) * p["ffn.time_mix_r"], p["ffn.receptance.weight"])
        return torch.sigmoid(r) * F.linear(torch.relu(k) ** 2, p["ffn.value.weight"])

    @staticmethod
    def time_mix7(p, x, first_values):
        difference = before(x) - x
        xr, xw, xk, xv, xa, xg = (x + difference * p["att.x_" + letter].flatten() for letter in "rwkvag")
        r, k, v = (
            F.linear(mixed, p[f"att.{name}.weight"])
            for mixed, name in [(xr, "receptance"), (xk, "key"), (xv, "value")]
        )
        w = p["att.w0"].flatten() + torch.tanh(xw @ p["att.w1"]) @ p["att.w2"]
        w = torch.exp(-math.exp(-0.5) * torch.sigmoid(w))
        if first_values is None:
            first_values = v
        else:
            v = v + (first_values - v) * torch.sigmoid(p["att.v0"].flatten() + xv @ p["att.v1"] @ p["att.v2"])
        a = torch.sigmoid(p["att.a0"].flatten() + xa @ p["att.a1"] @ p["att.a2"])
        g = torch.sigmoid(xg @ p["att.g1"]) @ p["att.g2"]
        heads = (*x.shape[:2], -1, HEAD)
        kk = F.normalize((k * p["att.k_k"].flatten()).view(heads), dim=-1).view(x.shape)
        k = k * (1 + (a - 1) * p["att.k_a"].flatten())
        y = Wkv7.apply(r, w, k, v, -kk, kk * a)
        y = F.group_norm(
            y.reshape(-1, CHANNELS), CHANNELS // HEAD, p["att.ln_x.weight"], p["att.ln_x.bias"], 64e-5
        ).view(x.shape)
        bonus = (r.view(heads) * k.view(heads) * p["att.r_k"].view(-1, HEAD)).sum(-1, keepdim=True) * v.view(heads)
        return F.linear((y + bonus.view(x.shape)) * g, p["att.output.weight"]), first_values


def kinglet(*arguments):
    command = [KINGLET, *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def train(version, text, folder, steps, threads):
    """Seconds of a training by Kinglet."""
    options = {
        "text": text, "validation": sample(text, folder), "version": version, "layers": LAYERS, "channels": CHANNELS, "vocab": 256, "context": CONTEXT,
        "batch": BATCH, "steps": steps, "threads": threads, "output": folder / f"{version}.safetensors",
    }  # fmt: skip
    return kinglet("train", "--fresh", *(part for name, value in options.items() for part in (f"--{name}", value)))[
        "seconds"
    ]


def sample(text, folder):
    """A short text, to validate with and to compare losses."""
    path = folder / "sample.txt"
    path.write_bytes(text.read_bytes()[:SAMPLE_BYTES])
    return path


def kinglet_speed(version, text, folder, threads):
    few, many = (train(version, text, folder, steps, threads) for steps in (FEW, MANY))
    return (MANY - FEW) * BATCH * CONTEXT / (many - few)


def pytorch_speed(network, text, threads):
    torch.set_num_threads(threads)
    tensors = list(network.tensors.values())
    optimizer = torch.optim.AdamW(tensors, lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    for step in range(MANY):
        if step == FEW:
            start = time.perf_counter()
        at = torch.randint(len(text) - CONTEXT - 1, (BATCH,))
        pieces = torch.stack([text[i : i + CONTEXT + 1] for i in at])
        logits = network.logits(pieces[:, :-1])
        loss = F.cross_entropy(logits.view(-1, logits.shape[-1]), pieces[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tensors, 1.0)
        optimizer.step()
    return (MANY - FEW) * BATCH * CONTEXT / (time.perf_counter() - start)


def check(version, network, text, folder):
    """The same network: bits a byte of a piece of text by both."""
    expected = kinglet("eval", folder / f"{version}.safetensors", "--text", folder / "sample.txt", "--reset", 0)
    with torch.no_grad():
        piece = text[:SAMPLE_BYTES].view(1, -1)
        found = F.cross_entropy(network.logits(piece[:, :-1])[0], piece[0, 1:]).item() / math.log(2)
    difference = abs(found - expected["bits_per_byte"])
    assert difference < 1e-4, f"{version}: PyTorch has another network, {difference} bits a byte away"


def main():
    global cpp
    path, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cargo", "build", "--release", "--quiet", "--package", "kinglet-host"], check=True)
    cpp = load_inline("recurrences", CPP, functions=NAMES, extra_cflags=FLAGS, extra_ldflags=["-fopenmp"])
    text = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8).long()
    print("| network | threads | Kinglet, tokens/s | PyTorch, tokens/s | ratio |\n|---|---:|---:|---:|---:|")
    for version in VERSIONS:
        for threads in THREADS:
            speeds = []
            for _ in range(rounds):
                own = kinglet_speed(version, path, folder, threads)
                network = Network(version, load_file(folder / f"{version}.safetensors"))
                check(version, network, text, folder)
                speeds.append((own, pytorch_speed(network, text, threads)))
            own, torch_ = (statistics.median(of) for of in zip(*speeds))
            ratio = statistics.median(a / b for a, b in speeds)
            print(f"| {VERSIONS[version]} | {threads} | {own:,.0f} | {torch_:,.0f} | {ratio:.2f} |", flush=True)


main()
