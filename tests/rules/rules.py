"""The project's rules. Each takes a tree (source_tree.read_tree) and returns what breaks it, one line each."""

import re

from source_tree import includes_of, is_source

# Who may include whom: only downwards.
MAY_INCLUDE = {
    "config": {"config"},
    "proto": {"proto", "config"},
    "kernels": {"kernels", "config"},
    "actors": {"actors", "kernels", "proto", "config"},
    "cluster": {"cluster", "actors", "kernels", "proto", "config"},
    "tools": {"tools", "cluster", "kernels", "proto", "config"},
}

# A library's headers, and the only files that may include them.
QUARANTINE = [
    (r"zmq\.hpp|zmq_addon\.hpp|zmq\.h", r"cluster/link/"),
    (r"hiredis(/.*)?", r"actors/cache_tier/redis_store\w*\.(cpp|hpp)$"),
    (r"yaml-cpp/.*", r"config/settings_yaml\.cpp$"),
    (r"zstd\.h", r"cluster/link/"),
    (r"boost/.*", r"cluster/http/"),
    (r"CLI/.*", r"tools/"),
    (r"spdlog/.*", r"(actors|cluster)/"),
    (r"cuda.*\.h|cublas.*\.h", r"kernels/.*_cuda\.\w+$|kernels/backend/cuda/|tests/cuda/"),
    (r"pcre2\.h", r"kernels/tokenizer/"),
    (r"ftxui/.*", r"tools/console/drawing/"),
    (r"utf8proc\.h", r"kernels/|cluster/client/"),
]

# Built only where FTXUI is there, or only where it is not.
OPTIONAL = re.compile(r"tools/console/(drawing/\w+|undrawn)\.cpp$")

NO_CAF = re.compile(r"_core\.(cpp|hpp)$|^(kernels|config|proto|tools)/")


def room_of(path):
    return path.split("/", 1)[0]


def layering(tree):
    wrong = []
    for path, text in sorted(tree.items()):
        room = room_of(path)
        if not is_source(path) or room not in MAY_INCLUDE:
            continue
        for line, quote, name in includes_of(text):
            where = f"{path}:{line}: "
            if quote == '"' and "/" not in name:
                wrong.append(where + f'"{name}" is to be included from the project\'s root, with its folder')
            elif quote == '"' and ".." in name.split("/"):
                wrong.append(where + f'"{name}" goes upwards; include from the project\'s root')
            elif quote == '"' and room_of(name) not in MAY_INCLUDE[room]:
                wrong.append(where + f"{room}/ may not include {name}; it may include {', '.join(sorted(MAY_INCLUDE[room]))}")
            if name.startswith("caf/") and NO_CAF.search(path):
                wrong.append(where + "caf/ has no place in a core, in kernels/, config/, proto/ or tools/")
            for library, allowed in QUARANTINE:
                if re.fullmatch(library, name) and not re.match(allowed, path):
                    wrong.append(where + f"{name} may be included only by {allowed}")
    return wrong


def client_header(tree):
    """The public header of libtroupe needs nothing but the standard library and config/outcome.hpp."""
    path = "cluster/client/troupe.hpp"
    return [f"{path}:{line}: the public header may not include {name}" for line, _, name in includes_of(tree.get(path, ""))
            if "/" in name and name != "config/outcome.hpp" or "." in name and "/" not in name]


def dead_headers(tree):
    included = set()
    for path, text in tree.items():
        if is_source(path):
            folder = path.rsplit("/", 1)[0] if "/" in path else ""
            for _, _, name in includes_of(text):
                included.add(name)
                included.add(f"{folder}/{name}")
    return [f"{path}: no file includes it" for path in sorted(tree)
            if path.endswith((".hpp", ".cuh")) and path not in included]


NEEDS_CUDA = re.compile(r"^kernels/backend/cuda/(\w+/)?(\w+\.cu|\w+_cuda\.cpp)$|^tests/cuda/")


def dead_sources(tree, build_rules):
    """build_rules: the text of the generated build file. Fuzz targets are built by a preset of their own; what needs CUDA is
    built where nvcc is found."""
    wrong = []
    without_cuda = "/kernels/backend/cuda/bodies/rows.cu" not in build_rules
    for path in sorted(tree):
        if not path.endswith((".cpp", ".cu")):
            continue
        if path.startswith("tests/fuzz/"):
            if "tests/fuzz/CMakeLists.txt" not in tree:
                wrong.append(f"{path}: tests/fuzz has no CMakeLists.txt")
        elif without_cuda and NEEDS_CUDA.search(path):
            continue
        elif "/" + path not in build_rules and not OPTIONAL.match(path):
            wrong.append(f"{path}: no target compiles it")
    return wrong


def dead_scripts(tree):
    wrong = []
    for path, text in sorted(tree.items()):
        if not text.startswith("#!") or path.startswith(".ci/"):
            continue
        name = path.rsplit("/", 1)[-1]
        if not any(path in other or (room_of(path) == "tests" and name in other)
                   for other_path, other in tree.items() if other_path != path):
            wrong.append(f"{path}: no other file names this script")
    return wrong


def dead_settings(tree):
    table = tree.get("config/settings_table.cpp", "")
    names = re.findall(r'^\s*\{"([a-z_]+\.[a-z_0-9]+)"', table, re.MULTILINE)
    readers = "\n".join(text for path, text in tree.items() if is_source(path) and not path.startswith(("config/", "tests/")))
    return [f"config/settings_table.cpp: nothing reads {name}" for name in names if f'"{name}"' not in readers]


SIZES = [  # the first that matches counts
    (r"tests/.*\.(cpp|hpp)", 600),
    (r".*\.(hpp|cuh)", 250),
    (r".*\.cpp", 500),
    (r".*\.cu", 600),
    (r".*\.proto", 200),
    (r".*(CMakeLists\.txt|\.cmake)", 150),
    (r"(?!README\.md).+/README\.md", 60),
    (r"tests/rules/.*\.py", 300),
]


def sizes(tree):
    wrong = []
    for path, text in sorted(tree.items()):
        for pattern, most in SIZES:
            if re.fullmatch(pattern, path):
                lines = text.count("\n")
                if lines > most:
                    wrong.append(f"{path}: {lines} lines, at most {most}; is there a second thing in it?")
                break
    return wrong


def names(tree):
    wrong = []
    for path in sorted(tree):
        for part in re.split(r"[/._-]", path):
            if part in {"util", "utils", "common", "helper", "helpers", "misc", "manager", "handler"}:
                wrong.append(f"{path}: '{part}' says nothing about what lives there")
        if is_source(path) and re.search(r"[A-Z]", path):
            wrong.append(f"{path}: names of files are snake_case")
    return wrong


# Put together here so that this file does not break its own rule.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(" + "|".join(["wo" + "rk", "ho" + "me", "ro" + "ot", "tmp" + "/b"]) + r")/")


def words(tree):
    wrong = []
    for path, text in sorted(tree.items()):
        if path == "LICENSE":
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if UNFINISHED.search(line):
                wrong.append(f"{path}:{number}: unfinished work belongs in an issue")
            if MACHINE_PATH.search(line):
                wrong.append(f"{path}:{number}: names a path of one machine")
            if is_source(path) and line != line.rstrip():
                wrong.append(f"{path}:{number}: blanks at the end of the line")
    return wrong


def readmes(tree):
    rooms = set(MAY_INCLUDE) | {"tests", "deploy"}
    wanted = {"README.md"} | {f"{room}/README.md" for room in rooms}
    return [f"{path} is missing" for path in sorted(wanted) if path not in tree]
