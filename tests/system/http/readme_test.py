"""The lines that README.md shows for HTTP, run as they stand there against a daemon with the project's own model:
readme_test.py TROUPED TROUPE PROJECT. What needs a package that is not installed is left out and named."""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys

from http_node import Client, Node, Programs, ask

README_ADDRESS = "http://127.0.0.1:8411"


def blocks_of(readme, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", pathlib.Path(readme).read_text(encoding="utf-8"), re.M | re.S)


def greeting(node):
    """The answer that the README's programs ask for."""
    wish = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}], "seed": 7}
    return json.loads(ask(node, "POST", "/v1/chat/completions", wish)[2])["choices"][0]["message"]["content"]


def story(model, wish):
    """What the engine alone gives to a completion's body."""
    made = subprocess.run([Programs.troupe, "generate", "--model", str(model), "--prompt", wish["prompt"], "--seed", str(wish["seed"]),
                           "--max-tokens", str(wish["max_tokens"]), "--temperature", "1", "--threads", "1", "--json"],
                          check=True, capture_output=True)
    return json.loads(made.stdout)["text"]


def check_curl(line, node, model):
    """Runs one line in a shell and looks at what came back."""
    path, data = re.match(rf"curl {re.escape(README_ADDRESS)}(\S+)(?: -d '(.*)')?$", line).groups()
    done = subprocess.run(["bash", "-c", line.replace(README_ADDRESS, node.url).replace("curl ", "curl -sS --fail-with-body ", 1)],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    wish = json.loads(data) if data else {}
    if wish.get("stream"):
        events = [event[6:] for event in done.stdout.split("\n\n") if event.startswith("data: ")]
        assert events[-1] == "[DONE]", events
        told = "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1])
        assert told == story(model, wish), told
    elif path == "/v1/models":
        assert [one["id"] for one in json.loads(done.stdout)["data"]] == ["demo"], done.stdout
    elif path == "/v1/chat/completions":
        assert json.loads(done.stdout)["choices"][0]["message"]["content"].strip(), done.stdout
    elif path == "/v1/jobs":
        check_job(json.loads(done.stdout), wish, node, model)
    else:
        raise AssertionError(f"README.md shows {path}, and this test knows no answer to it")


def check_job(state, wish, node, model):
    """The job's stream is what the engine alone gives with the seed that the node drew for it."""
    with Client(node.at) as client:
        events = list(client.ask("GET", f"/v1/jobs/{state['id']}/stream").events())
    assert events[-1] == "[DONE]", events
    told = "".join(json.loads(event)["text"] for event in events[:-1])
    seed = json.loads(ask(node, "GET", f"/v1/jobs/{state['id']}")[2])["seed"]
    assert told == story(model, {**wish, "seed": seed}), told


def check_python(block, node):
    """False: it needs a package that is not here."""
    needed = re.findall(r"^(?:from|import) (\w+)", block, re.M)
    if not all(importlib.util.find_spec(name) for name in needed):
        print("not run, for want of a package:", ", ".join(needed))
        return False
    done = subprocess.run([sys.executable, "-c", block.replace(README_ADDRESS, node.url)], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.removesuffix("\n") == greeting(node), done.stdout
    return True


def main():
    Programs.trouped, Programs.troupe = sys.argv[1:3]
    readme, model = pathlib.Path(sys.argv[3], "README.md"), pathlib.Path(sys.argv[3], "config/models/demo.gguf")
    lines = [line for block in blocks_of(readme, "sh") for line in block.splitlines() if line.startswith("curl ")]
    assert len(lines) >= 4, lines
    with Node(model, name="demo") as node:
        for line in lines:
            check_curl(line, node, model)
        ran = sum(check_python(block, node) for block in blocks_of(readme, "python"))
    print(f"{len(lines)} lines with curl and {ran} Python programs of README.md hold")


if __name__ == "__main__":
    main()
