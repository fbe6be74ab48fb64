"""The project's files as the rules see them: a mapping from path (with '/') to text. Rules are functions of such a mapping."""

import os
import pathlib
import re
import subprocess

TEXT_MAX_BYTES = 1 << 20


def read_tree(root):
    """Every text file that is tracked, or new and not ignored; without git, everything outside hidden and build folders."""
    root = pathlib.Path(root)
    try:
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True).stdout.decode().split("\0")
        paths = sorted({path for path in listed if path})
    except (OSError, subprocess.CalledProcessError):
        paths = []
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith((".git", "build", "__pycache__"))]
            paths += [str(pathlib.Path(folder, name).relative_to(root)) for name in files]
    tree = {}
    for path in paths:
        file = root / path
        if not file.is_file() or file.is_symlink() or file.stat().st_size > TEXT_MAX_BYTES:
            continue
        content = file.read_bytes()
        if b"\0" not in content:
            tree[path] = content.decode("utf-8", errors="replace")
    return tree


def is_source(path):
    return path.endswith((".cpp", ".hpp", ".cu", ".cuh"))


INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def includes_of(text):
    """(line number, '"' or '<', name) of each include."""
    return [(text.count("\n", 0, found.start(2)) + 1, found.group(1), found.group(2)) for found in INCLUDE.finditer(text)]
