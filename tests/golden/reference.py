"""RWKV-4 to 7 in numpy: recurrent, double precision, one token at a time.

Shares nothing with Kinglet but the equations. The version is given, not
detected.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def normed(x, weight, bias, eps):
    return (x - x.mean()) / np.sqrt(x.var() + eps) * weight + bias


class Layer:
    """One layer: `t(name)` is a tensor, vectors flattened."""

    def __init__(self, tensors, index, head_size, gn_eps):
        prefix = f"blocks.{index}."
        self.tensors = {n[len(prefix) :]: v for n, v in tensors.items() if n.startswith(prefix)}
        self.index, self.gn_eps = index, gn_eps
        channels = self.tensors["ln1.weight"].size
        self.att_x, self.ffn_x = np.zeros(channels), np.zeros(channels)
        self.aa, self.bb, self.pp = np.zeros(channels), np.zeros(channels), np.full(channels, -1e30)
        self.n = head_size
        self.heads = channels // head_size if head_size else 0
        self.s = np.zeros((self.heads, head_size, head_size))

    def m(self, name):
        return self.tensors[name]

    def v(self, name):
        return self.tensors[name].reshape(-1)

    def ln(self, x, name):
        return normed(x, self.v(name + ".weight"), self.v(name + ".bias"), 1e-5)

    def group_norm(self, y):
        weight, bias = self.v("att.ln_x.weight"), self.v("att.ln_x.bias")
        parts = [normed(h, 1.0, 0.0, self.gn_eps) for h in y.reshape(self.heads, self.n)]
        return np.concatenate(parts) * weight + bias

    def time_mix(self, x, old, name):
        mix = self.v(name)
        return x * mix + old * (1 - mix)

    def step(self, version, x, shared):
        xx, old = self.ln(x, "ln1"), self.att_x
        self.att_x = xx
        att = {"v4": self.att4, "v5.0": self.att5, "v5.1": self.att5, "v5": self.att5, "v6": self.att6}
        x = x + (self.att7(xx, old, shared) if version == "v7" else att[version](xx, old))
        xx, old = self.ln(x, "ln2"), self.ffn_x
        self.ffn_x = xx
        if version == "v7":
            return x + self.perceptron(xx + (old - xx) * self.v("ffn.x_k"))
        if version == "v6":
            xk, xr = (xx + (old - xx) * self.v("ffn.time_maa_" + q) for q in "kr")
        else:
            xk, xr = (self.time_mix(xx, old, "ffn.time_mix_" + q) for q in "kr")
        return x + sigmoid(self.m("ffn.receptance.weight") @ xr) * self.perceptron(xk)

    def perceptron(self, xk):
        return self.m("ffn.value.weight") @ np.maximum(self.m("ffn.key.weight") @ xk, 0) ** 2

    def att4(self, x, old):
        k, v, r = (
            self.m(f"att.{w}.weight") @ self.time_mix(x, old, "att.time_mix_" + w[0])
            for w in ("key", "value", "receptance")
        )
        w, u = -np.exp(self.v("att.time_decay")), self.v("att.time_first")
        q = np.maximum(self.pp, u + k)
        e1, e2 = np.exp(self.pp - q), np.exp(u + k - q)
        wkv = (e1 * self.aa + e2 * v) / (e1 * self.bb + e2)
        q = np.maximum(self.pp + w, k)
        e1, e2 = np.exp(self.pp + w - q), np.exp(k - q)
        self.aa, self.bb, self.pp = e1 * self.aa + e2 * v, e1 * self.bb + e2, q
        return self.m("att.output.weight") @ (sigmoid(r) * wkv)

    def read_then_write(self, r, k, v, w, u):
        """State [head, key, value]; w and u [head, key]."""
        r, k, v = (q.reshape(self.heads, self.n) for q in (r, k, v))
        outer = np.einsum("hi,hj->hij", k, v)
        y = np.einsum("hi,hij->hj", r, u[:, :, None] * outer + self.s)
        self.s = outer + w[:, :, None] * self.s
        return y.reshape(-1)

    def att5(self, x, old):
        k, v, r = (
            self.m(f"att.{w}.weight") @ self.time_mix(x, old, "att.time_mix_" + w[0])
            for w in ("key", "value", "receptance")
        )
        u = np.exp(self.v("att.time_first")) if "att.time_first" in self.tensors else self.v("att.time_faaaa")
        w = np.exp(-np.exp(self.v("att.time_decay")))
        w, u = (q.reshape(self.heads, -1) * np.ones((self.heads, self.n)) for q in (w, u))
        y = self.group_norm(self.read_then_write(r, k, v, w, u))
        if "att.gate.weight" in self.tensors:
            y = y * silu(self.m("att.gate.weight") @ self.time_mix(x, old, "att.time_mix_g"))
        return self.m("att.output.weight") @ y

    def att6(self, x, old):
        d = old - x
        z = np.tanh((x + d * self.v("att.time_maa_x")) @ self.m("att.time_maa_w1")).reshape(5, -1)
        shifted = {}
        for q, name in enumerate("wkvrg"):
            m = z[q] @ self.m("att.time_maa_w2")[q]
            shifted[name] = x + d * (self.v("att.time_maa_" + name) + m)
        k, v, r, g = (
            self.m(f"att.{w}.weight") @ shifted[w[0]] for w in ("key", "value", "receptance", "gate")
        )
        lora = np.tanh(shifted["w"] @ self.m("att.time_decay_w1")) @ self.m("att.time_decay_w2")
        w = np.exp(-np.exp(self.v("att.time_decay") + lora)).reshape(self.heads, self.n)
        u = self.v("att.time_faaaa").reshape(self.heads, self.n)
        y = self.group_norm(self.read_then_write(r, k, v, w, u))
        return self.m("att.output.weight") @ (y * silu(g))

    def low_rank(self, letter, x, activation=lambda y: y):
        y = activation(x @ self.m(f"att.{letter}1")) @ self.m(f"att.{letter}2")
        return y if letter == "g" else y + self.v(f"att.{letter}0")

    def att7(self, x, old, shared):
        xs = {q: x + (old - x) * self.v("att.x_" + q) for q in "rwkvag"}
        r, k, v = (self.m(f"att.{w}.weight") @ xs[w[0]] for w in ("receptance", "key", "value"))
        w = np.exp(-np.exp(-0.5) * sigmoid(self.low_rank("w", xs["w"], np.tanh)))
        a = sigmoid(self.low_rank("a", xs["a"]))
        g = self.low_rank("g", xs["g"], sigmoid)
        by_head = lambda q: q.reshape(self.heads, self.n)
        kk = by_head(k * self.v("att.k_k"))
        kk = kk / np.maximum(np.linalg.norm(kk, axis=1, keepdims=True), 1e-12)
        k = k * (1 + (a - 1) * self.v("att.k_a"))
        if self.index == 0:
            shared["v"] = v
        else:
            v = v + (shared["v"] - v) * sigmoid(self.low_rank("v", xs["v"]))
        r, w, k, v, a = map(by_head, (r, w, k, v, a))
        # State [head, value, key].
        sa = np.einsum("hij,hj->hi", self.s, -kk)
        self.s = self.s * w[:, None, :] + np.einsum("hi,hj->hij", sa, kk * a) + np.einsum("hi,hj->hij", v, k)
        y = self.group_norm(np.einsum("hij,hj->hi", self.s, r).reshape(-1))
        bonus = np.sum(r * k * by_head(self.v("att.r_k")), axis=1, keepdims=True) * v
        return self.m("att.output.weight") @ ((y + bonus.reshape(-1)) * g)


def logits(tensors, tokens, version="v4", head_size=0, gn_eps=64e-5):
    """The logits [tokens, vocabulary]."""
    count = 1 + max(int(n.split(".")[1]) for n in tensors if n.startswith("blocks."))
    layers = [Layer(tensors, i, head_size, gn_eps) for i in range(count)]
    norm = lambda x, name: normed(x, tensors[name + ".weight"].reshape(-1), tensors[name + ".bias"].reshape(-1), 1e-5)
    out = []
    for token in tokens:
        x, shared = norm(tensors["emb.weight"][token], "blocks.0.ln0"), {}
        for layer in layers:
            x = layer.step(version, x, shared)
        out.append(tensors["head.weight"] @ norm(x, "ln_out"))
    return np.array(out)
