"""What a model writes after each line of a file: the first answer of each, none left
out. Prints the page docs/stories.md.

usage: python3 tools/experiments/answers.py IMAGE PROMPTS.txt > docs/stories.md
"""

import json
import pathlib
import subprocess
import sys

KINGLET = "target/release/kinglet"
DRAW = "-n 100 --temperature 0.7 --top-p 0.9 --seed 1"


def answer(image, prompt):
    command = [KINGLET, "run", image, "--prompt", prompt, "--json", *DRAW.split()]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)["text"]


def main():
    image, prompts = sys.argv[1:]
    subprocess.run(["cargo", "build", "--release", "--quiet", "--package", "kinglet-host"], check=True)
    print("# What the demo's model writes\n")
    print(f"Twenty prompts of different kinds, and the first answer to each, none left out: `kinglet run` of its int4 image\nwith `{DRAW}`. A board writes the same.\n")
    for prompt in pathlib.Path(prompts).read_text().splitlines():
        lines = answer(image, prompt).splitlines()
        print(f"- **{prompt}**{' '.join(lines)}")


main()
