"""Runs npm_clients.mjs and the README's JavaScript against a daemon, where npm can fetch the clients:
npm_clients_test.py TROUPED TROUPE PROJECT. Says "skipped:" else."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from http_node import Node, Programs, alone, tiny_model
from readme_test import README_ADDRESS, blocks_of, greeting

CLIENTS = ["openai@6.49.0", "ollama@0.6.4"]


def fetch(folder):
    """None, or why the clients are not there: a registry that is away is no fault of ours."""
    try:
        done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                               "--fetch-timeout=20000", *CLIENTS], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "in 120 s"
    return None if done.returncode == 0 else done.stderr[-300:]


def main():
    Programs.trouped, Programs.troupe = sys.argv[1:3]
    if not shutil.which("npm") or not shutil.which("node"):
        return print("skipped: npm or node is missing")
    with tempfile.TemporaryDirectory() as folder:
        why = fetch(folder)
        if why is not None:
            return print("skipped: npm could not fetch", *CLIENTS, why)
        script = pathlib.Path(__file__).with_name("npm_clients.mjs")
        shutil.copy(script, folder)
        model = tiny_model(folder)
        with Node(model) as node:
            subprocess.run(["node", script.name, node.url, alone(model, "Once upon", 7, 12)], cwd=folder, check=True, timeout=120)
        project = pathlib.Path(sys.argv[3])
        with Node(project / "config/models/demo.gguf", name="demo") as node:
            for number, block in enumerate(blocks_of(project / "README.md", "js")):
                pathlib.Path(folder, f"readme-{number}.mjs").write_text(block.replace(README_ADDRESS, node.url))
                said = subprocess.run(["node", f"readme-{number}.mjs"], cwd=folder, check=True, timeout=120, capture_output=True, text=True)
                assert said.stdout.removesuffix("\n") == greeting(node), said.stdout
                print("README's JavaScript holds")


if __name__ == "__main__":
    main()
