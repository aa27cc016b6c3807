"""Writes a text in many scripts and its tokens by the reference tokenizer.

    pip install rwkv                    # or unpack its wheel and set PYTHONPATH
    python tests/tokenizer/reference.py FOLDER
    KINGLET_WORLD_VOCAB=.../rwkv/rwkv_vocab_v20230424.txt \
        KINGLET_WORLD_REFERENCE=FOLDER cargo test --release --package kinglet-tests --test world -- --nocapture

The vocabulary ships in the package. FOLDER gets text.bin and ids.bin (u32,
little-endian). The text is drawn from ranges of Unicode with a fixed seed;
nothing of it was written by anybody.
"""

import importlib.util
import pathlib
import random
import struct
import sys

BYTES = 1_500_000

# Ranges of letters, and how many of them a word has at most.
SCRIPTS = {
    "latin": ([(0x61, 0x7A)] * 8 + [(0x41, 0x5A), (0xC0, 0x17F)], 10),
    "cyrillic": ([(0x430, 0x44F)] * 6 + [(0x410, 0x42F), (0x450, 0x45F)], 10),
    "greek": ([(0x3B1, 0x3C9)] * 6 + [(0x391, 0x3A1), (0x1F00, 0x1F15)], 10),
    "chinese": ([(0x4E00, 0x9FFF)] * 5 + [(0x3400, 0x34FF), (0x20000, 0x200FF)], 12),
    "japanese": ([(0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x5E00)], 12),
    "korean": ([(0xAC00, 0xD7A3)] * 5 + [(0x1100, 0x1112)], 6),
    "arabic": ([(0x621, 0x64A)] * 6 + [(0x64B, 0x652), (0x6F0, 0x6F9)], 8),
    "hebrew": ([(0x5D0, 0x5EA)] * 6 + [(0x5B0, 0x5BC)], 8),
    "devanagari": ([(0x905, 0x939)] * 3 + [(0x93E, 0x94D), (0x966, 0x96F)], 8),
    "thai": ([(0xE01, 0xE2E)] * 3 + [(0xE30, 0xE3A), (0xE40, 0xE4E)], 20),
    "emoji": ([(0x1F300, 0x1F64F), (0x1F900, 0x1F9FF), (0x2600, 0x26FF), (0x200D, 0x200D), (0xFE0F, 0xFE0F)], 4),
    "digits": ([(0x30, 0x39)], 9),
}
CODE = ["fn ", "let ", "return", "    ", "\t", "\n", "\r\n", "();", " = ", "==", "->", "::", "{", "}", "[i]", "0x", "#", "/*", "*/",
        "//", "\"", "'", "\\n", "<div>", "</", "if (", "for ", "def ", "self.", "import ", "--", "#" * 40, "-" * 81, " " * 130, "=" * 17]
BETWEEN = [" "] * 10 + [", ", ". ", ".\n", "\n\n", "  ", "\u3000", "\u3002", "\uff0c", "!", "?", " (", ") ", "\u00a0"]


def word(random, ranges, most):
    letters = (random.choice(ranges) for _ in range(random.randint(1, most)))
    return "".join(chr(random.randint(*letter)) for letter in letters).encode()


def text(tokens):
    generator = random.Random(20230424)
    parts, size = [], 0
    while size < BYTES:
        kind = generator.choice(list(SCRIPTS) + ["code", "bytes", "tokens", "tokens"])
        for _ in range(generator.randint(5, 60)):
            if kind == "code":
                part = generator.choice(CODE).encode() + word(generator, *SCRIPTS["latin"])
            elif kind == "bytes":
                part = generator.randbytes(generator.randint(1, 20))
            elif kind == "tokens":
                # Entries and beginnings of them: long matches that break off.
                token = generator.choice(tokens)
                part = token[: generator.randint(1, len(token))] if generator.random() < 0.3 else token
            else:
                part = word(generator, *SCRIPTS[kind]) + generator.choice(BETWEEN).encode()
            parts.append(part)
            size += len(part)
    return b"".join(parts)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    # The package itself would import a deep learning framework.
    package = pathlib.Path(importlib.util.find_spec("rwkv").submodule_search_locations[0])
    sys.path.insert(0, str(package))
    from rwkv_tokenizer import TRIE_TOKENIZER

    reference = TRIE_TOKENIZER(str(package / "rwkv_vocab_v20230424.txt"))
    data = text([reference.idx2token[i] for i in sorted(reference.idx2token)])
    ids = reference.encodeBytes(data)
    assert reference.decodeBytes(ids) == data
    (folder / "text.bin").write_bytes(data)
    (folder / "ids.bin").write_bytes(struct.pack(f"<{len(ids)}I", *ids))
    print(f"{len(data)} bytes, {len(ids)} tokens, {len(set(ids))} different")


main()
