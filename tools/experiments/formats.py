"""The picture of docs/checkpoints.md: bytes against divergence of Kinglet's formats and of
rwkv.cpp's, of one published model. The figures are those of the tables in docs.

usage: python3 tools/experiments/formats.py docs/images/formats.svg
Needs Python 3.10, and nothing else.
"""

import math
import pathlib
import sys

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
MODEL = "RWKV-5.2, 730 K"

WIDTH, HEIGHT = 720, 350
LEFT, RIGHT, TOP, BOTTOM = 70, 700, 44, 300
BYTES = (350_000, 970_000)
DIVERGENCES = (1e-4, 1e-1)

# Where a label is beside its mark: its anchor, and how far to the right and down.
RIGHT_ABOVE = ("start", 9, -5)
RIGHT_BELOW = ("start", 9, 14)
LEFT_BELOW = ("end", -9, 14)
LABELS = {
    "--weights int4": ("int4", RIGHT_ABOVE),
    "--weights int6": ("int6", RIGHT_ABOVE),
    "--weights int8": ("int8", RIGHT_ABOVE),
    "--budget 420000": ("budget of 420,000", ("middle", 0, -11)),
    "--budget 573000": ("budget of 573,000", LEFT_BELOW),
    "distilled": ("int4, distilled", LEFT_BELOW),
}

STYLE = """
.ground { fill: #fff } .text { fill: #24292f } .axis { fill: #57606a } .grid { stroke: #d8dee4 }
.ours { fill: #0a58ca } .peers { fill: #bc4c00 }
.line { fill: none; stroke-width: 2 } .ours.line { stroke: #0a58ca } .peers.line { stroke: #bc4c00 }
@media (prefers-color-scheme: dark) {
.ground { fill: #161b22 } .text { fill: #e6edf3 } .axis { fill: #9da7b1 } .grid { stroke: #30363d }
.ours { fill: #6cb0ff } .peers { fill: #ffa657 }
.line { fill: none } .ours.line { stroke: #6cb0ff } .peers.line { stroke: #ffa657 } }
"""


def rows(chapter, heading):
    """The rows of the first table after a heading, as lists of cells."""
    text = (DOCS / chapter).read_text()
    lines = text[text.index(heading) :].splitlines()
    table = []
    for line in lines:
        if line.startswith("|"):
            table.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
        elif table:
            break
    return table[2:]


def number(cell):
    return float(cell.replace(",", ""))


def ours():
    """(what, bytes, divergence) of Kinglet's images, the smallest first."""
    found, model = [], ""
    for name, size, divergence, _, options in rows("checkpoints.md", "### A budget"):
        model = name or model
        if model == MODEL and "--speed" not in options:
            found.append((options, number(size), number(divergence)))
    for name, weights, size, _, divergence in rows("training.md", "Divergence on a text"):
        if (name, weights) == (MODEL, "int4"):
            found.append(("distilled", number(size), number(divergence)))
    return sorted(found, key=lambda point: point[1])


def peers():
    """The same of rwkv.cpp's files."""
    table = rows("checkpoints.md", "### Beside other formats")
    return [(name, number(size), number(divergence)) for name, size, divergence in table]


def place(size, divergence):
    across = (size - BYTES[0]) / (BYTES[1] - BYTES[0])
    least, most = map(math.log10, DIVERGENCES)
    up = (math.log10(divergence) - least) / (most - least)
    return LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)


def text(x, y, content, look, anchor="start"):
    return f'<text class="{look}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{content}</text>'


def grid():
    for size in range(400_000, 1_000_000, 100_000):
        x, _ = place(size, DIVERGENCES[0])
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{BOTTOM}"/>'
        yield text(x, BOTTOM + 18, f"{size:,}", "axis", "middle")
    for power in range(-4, 0):
        for times in (1, 2, 5):
            divergence = times * 10.0**power
            if divergence > DIVERGENCES[1]:
                continue
            _, y = place(BYTES[0], divergence)
            yield f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>'
            label = f"{divergence:.4f}".rstrip("0")
            yield text(LEFT - 8, y + 4, label, "axis", "end")
    yield text((LEFT + RIGHT) / 2, BOTTOM + 38, "bytes of the whole file", "axis", "middle")
    title = f"divergence from the exact model, nats per token ({MODEL.replace(' K', ',000')} parameters)"
    yield text(LEFT - 56, TOP - 20, title, "text")


def line(points, look):
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point[1:]) for point in points))
    return f'<polyline class="{look} line" points="{places}"/>'


def marks(points, look, label):
    for what, size, divergence in points:
        x, y = place(size, divergence)
        said, (anchor, right, down) = label(what)
        yield f'<circle class="{look}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
        yield text(x + right, y + down, said, look, anchor)


def name(x, content, look):
    """A series, beside the title."""
    yield f'<circle class="{look}" cx="{x}" cy="{TOP - 24.5}" r="4.5"/>'
    yield text(x + 9, TOP - 20, content, look)


def best(points):
    """Those that no other one beats in both."""
    return [
        point
        for point in points
        if not any(
            other != point and other[1] <= point[1] and other[2] <= point[2] for other in points
        )
    ]


def main(path):
    own, others = ours(), peers()
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        *grid(),
        *name(546, "Kinglet", "ours"),
        *name(626, "rwkv.cpp", "peers"),
        line(others, "peers"),
        line(best(own), "ours"),
        *marks(others, "peers", lambda what: (what, RIGHT_ABOVE)),
        *marks(own, "ours", lambda what: LABELS[what]),
        "</svg>",
    ]
    pathlib.Path(path).write_text("\n".join(drawn) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
