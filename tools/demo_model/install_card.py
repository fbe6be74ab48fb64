"""Puts an evaluated model in its place: install_card.py FOLDER config/models. Copies demo-q8_0.gguf to demo.gguf and writes its digest,
its size and the table of the quantizations into the card beside it (README.md).
"""

import hashlib
import pathlib
import re
import shutil
import sys

BYTES_MAX = 8_000_000


def set_between(text, name, body):
    """The text with what stands between <!-- name --> and <!-- /name --> replaced."""
    marks = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(re.escape(marks[0]) + ".*?" + re.escape(marks[1]), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        sys.exit(f"install_card.py: the card needs one {marks[0]} ... {marks[1]}")
    return pattern.sub(lambda _: f"{marks[0]}\n{body}\n{marks[1]}", text)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    made, models = map(pathlib.Path, sys.argv[1:])
    raw = (made / "demo-q8_0.gguf").read_bytes()
    if len(raw) > BYTES_MAX:
        sys.exit(f"install_card.py: {len(raw)} bytes, at most {BYTES_MAX} are wanted")
    card = models / "README.md"
    text = set_between(card.read_text(), "digest", f"SHA-256 `{hashlib.sha256(raw).hexdigest()}`, {len(raw)} bytes.")
    text = set_between(text, "evaluation", (made / "evaluation.txt").read_text().strip())
    shutil.copyfile(made / "demo-q8_0.gguf", models / "demo.gguf")
    card.write_text(text)


if __name__ == "__main__":
    main()
