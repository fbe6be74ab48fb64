"""Every command that a README shows must exist: its program, its subcommands and its flags, by what --help says."""

import re
import shlex
import subprocess

BLOCK = re.compile(r"^```(?:sh|bash|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands_of(markdown):
    """(line number, words) of each command in the code blocks; other languages' blocks are left out."""
    found = []
    for block in BLOCK.finditer(markdown):
        first = markdown.count("\n", 0, block.start(1)) + 1
        text = block.group(1)
        joined = re.sub(r"\\\n", lambda _: "  ", text)
        for number, line in enumerate(joined.splitlines(), first):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                found.append((number, words))
    return found


def help_of(arguments):
    done = subprocess.run(arguments + ["--help"], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout if done.returncode == 0 else None


def check(tree, root, programs):
    """programs: name -> path of the built program. Returns what is wrong."""
    wrong, known = [], {}

    def help_text(arguments):
        key = tuple(arguments)
        if key not in known:
            known[key] = help_of(arguments)
        return known[key]

    for path, text in sorted(tree.items()):
        if not path.endswith("README.md"):
            continue
        for line, words in commands_of(text):
            name = words[0].rsplit("/", 1)[-1]
            where = f"{path}:{line}: "
            if words[0].startswith(("tools/", ".ci/")):
                if words[0] not in tree:
                    wrong.append(where + f"there is no {words[0]}")
                    continue
                if words[0].startswith(".ci/"):
                    continue
                base = [f"{root}/{words[0]}"]
            elif name in programs:
                base = [programs[name]]
            else:
                continue
            rest = words[1:]
            while rest and re.fullmatch(r"[a-z][a-z_-]*", rest[0]) and name in programs \
                    and help_text(base + [rest[0]]) is not None and help_text(base + [rest[0]]) != help_text(base):
                base.append(rest.pop(0))
            text_of_help = help_text(base)
            if text_of_help is None:
                wrong.append(where + f"{' '.join(base[1:]) or words[0]}: --help fails")
                continue
            if rest and name == "troupe" and not rest[0].startswith("-") and re.search(r"^Subcommands:", text_of_help, re.MULTILINE):
                wrong.append(where + f"troupe has no command {rest[0]}")
                continue
            for word in rest:
                flag = word.split("=", 1)[0]
                if word.startswith("--") and not re.search(re.escape(flag) + r"(?![\w-])", text_of_help):
                    wrong.append(where + f"{' '.join([words[0]] + base[1:])} has no flag {flag}")
    return wrong
