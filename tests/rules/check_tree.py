"""Runs one rule over the tree: check_tree.py RULE ROOT [BUILD_DIR]. Prints what breaks it; exit 1 where something does."""

import pathlib
import sys

import readme_commands
import rules
from source_tree import read_tree

RULES = {
    "layering": lambda tree, root, build: rules.layering(tree) + rules.client_header(tree),
    "dead_files": lambda tree, root, build: rules.dead_headers(tree) + rules.dead_scripts(tree) + rules.dead_settings(tree) +
    rules.dead_sources(tree, pathlib.Path(build, "build.ninja").read_text()),
    "names_and_sizes": lambda tree, root, build: rules.names(tree) + rules.sizes(tree) + rules.words(tree),
    "readmes": lambda tree, root, build: rules.readmes(tree) + readme_commands.check(
        tree, root, {"troupe": f"{build}/bin/troupe", "trouped": f"{build}/bin/trouped"}),
}


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in RULES:
        sys.exit(f"usage: check_tree.py {'|'.join(RULES)} ROOT BUILD_DIR")
    wrong = RULES[sys.argv[1]](read_tree(sys.argv[2]), sys.argv[2], sys.argv[3])
    for line in wrong:
        print(line)
    print(f"{sys.argv[1]}: {len(wrong) or 'nothing'} to mend")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
