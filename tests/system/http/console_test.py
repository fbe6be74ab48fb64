"""The web console: console_test.py TROUPED TROUPE PROJECT OUT GROUP.

Page asks for it by plain sockets; Rebuild makes it anew with npm and compares; Words tests its pure modules and its colours with
node alone; Browser looks at real nodes with it in headless Chromium, and leaves screenshots in OUT. What a group needs and does not
find it tells with "skipped:". Chromium is not installed by tools/prepare: apt-get install chromium-headless-shell fetches 153 MB."""

import base64
import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from http_node import Client, Node, Programs, ask, tiny_model

PLAYWRIGHT = "playwright-core@1.65.1"
NPM = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"]
CHROMIUM = ["chromium-headless-shell", "chromium", "google-chrome"]


def npm(folder, *command):
    """None, or why it could not: a registry that is away is no fault of ours."""
    try:
        done = subprocess.run(["npm", *command, *NPM], cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        return "npm took more than 180 s"
    return None if done.returncode == 0 else done.stderr[-300:]


def raw(node, method="GET", headers=None, path="/console"):
    """(status, headers, bytes): the page is no text."""
    with Client(node.at) as client:
        reply = client.ask(method, path, None, headers)
        body = b"" if method == "HEAD" or reply.status == 304 else b"".join(reply.pieces())
        return reply.status, reply.headers, body


def page(project, _out):
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model(folder)
        with Node(model) as node:
            status, headers, body = raw(node)
            assert status == 200 and headers["content-type"] == "text/html; charset=utf-8", (status, headers)
            assert headers["content-encoding"] == "gzip" and headers["content-length"] == str(len(body))
            html = gzip.decompress(body).decode()
            assert gzip.decompress((project / "cluster/http/console/page/console.html.gz").read_bytes()).decode() == html
            policy = headers["content-security-policy"]
            for element in ("script", "style"):
                inside = re.findall(f"<{element}>(.*?)</{element}>", html, re.DOTALL)
                assert len(inside) == 1, element
                digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
                assert f"{element}-src 'sha256-{digest}'" in policy, element
            assert "unsafe" not in policy and "default-src 'none'" in policy and "connect-src 'self'" in policy
            for forbidden in ("src=\"http", "@import", "url(http", "innerHTML", " onclick="):
                assert forbidden not in html.split("<!-- uPlot")[0], forbidden
            tag = headers["etag"]
            status, headers, body = raw(node, headers={"if-none-match": tag})
            assert status == 304 and not body and headers["etag"] == tag and "content-length" not in headers
            assert raw(node, headers={"if-none-match": '"another"'})[0] == 200
            status, headers, _ = raw(node, "HEAD")
            assert status == 200 and int(headers["content-length"]) > 10000 and headers["etag"] == tag
            assert ask(node, "POST", "/console")[0] == 405
            assert raw(node, headers={"host": "evil.example"})[0] == 403  # another name for this machine: DNS rebinding
            assert raw(node, headers={"origin": "https://evil.example"})[0] == 403
        with keyed(model, folder) as (node, _key):
            assert raw(node)[0] == 200  # the page says nothing of the cluster
            assert raw(node, path="/v1/monitoring/picture")[0] == 401
    print("the page holds")


@contextlib.contextmanager
def keyed(model, folder):
    keys = pathlib.Path(folder, "api.keys")
    made = subprocess.run([Programs.troupe, "api-key", "make", "--name", "me", "--scope", "viewer,operator", "--file", str(keys)],
                          check=True, capture_output=True, text=True)
    key = made.stdout.strip()
    with Node(model, http=f"  api_key_file: {keys}\n") as node:
        yield node, key
    keys.unlink()


def rebuild(project, _out):
    if not shutil.which("npm"):
        return print("skipped: npm is missing")
    source = project / "cluster/http/console"
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "console")
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("node_modules", "page"))
        why = npm(copy, "ci")
        if why is not None:
            return print("skipped: npm could not fetch esbuild and uplot:", why)
        subprocess.run(["node", "build.mjs", "made"], cwd=copy, check=True)
        for name, read in (("console.html.gz", lambda file: gzip.decompress(file.read_bytes())), ("policy.txt", pathlib.Path.read_bytes)):
            assert read(copy / "made" / name) == read(source / "page" / name), \
                f"{name} is not what its sources give: run npm ci and npm run build in cluster/http/console, and commit page/"
    print("the committed page is what its sources give")


def words(project, _out):
    if not shutil.which("node"):
        return print("skipped: node is missing")
    test = pathlib.Path(__file__).with_name("console_words.mjs")
    subprocess.run(["node", str(test), str(project / "cluster/http/console/source")], check=True, timeout=60)


class Pair:
    """Two daemons, mainpc and pc2, that know each other."""

    def __init__(self, folder, model):
        self.folder = pathlib.Path(folder)
        self.processes, self.urls, self.errors = [], [], []
        (self.folder / "models").mkdir()
        (self.folder / "models/tiny.gguf").symlink_to(model)
        peer = ""
        for name in ("mainpc", "pc2"):
            config = self.folder / f"{name}.yaml"
            config.write_text(
                f"node:\n  name: {name}\n  state_dir: {name}\n  stop_wait: 2s\nlink:\n  listen: tcp://127.0.0.1:0\n"
                f"membership:\n  peers: [{peer}]\nmodels:\n  directories: [models]\n  preload: [tiny]\n"
                "inference:\n  threads: 1\n  kv_bytes: 64MiB\n  sequences_max: 2\nhttp:\n  listen: tcp://127.0.0.1:0\n")
            self.errors.append(open(self.folder / f"{name}.errors", "w+", encoding="utf-8"))
            self.processes.append(subprocess.Popen([Programs.trouped, "--config", str(config)], stdout=subprocess.PIPE,
                                                   stderr=self.errors[-1], text=True))
            fields = dict(part.split("=", 1) for part in self.processes[-1].stdout.readline().split() if "=" in part)
            assert "http" in fields, (self.folder / f"{name}.errors").read_text()
            self.urls.append(fields["http"])
            peer = fields["address"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        for file in self.errors:
            file.close()


def browser(project, out):
    chromium = os.environ.get("TROUPE_CHROMIUM") or next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if not chromium:
        return print("skipped: no Chromium (apt-get install chromium-headless-shell, 153 MB; or name one in TROUPE_CHROMIUM)")
    if not shutil.which("npm"):
        return print("skipped: npm is missing")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        why = npm(folder, "install", PLAYWRIGHT)
        if why is not None:
            return print("skipped: npm could not fetch", PLAYWRIGHT, why)
        for file in pathlib.Path(__file__).parent.glob("console_browser*.mjs"):
            shutil.copy(file, folder)
        model = tiny_model(folder)
        report = pathlib.Path(folder, "report.json")
        plan = pathlib.Path(folder, "plan.json")
        plan.write_text(json.dumps({
            "name": "<img src=x onerror=alert(1)>", "seed": 3, "seconds": 6, "nodes": [{"name": "a"}, {"name": "b"}],
            "workload": {"streams": 2, "prompts": 4, "tokens": 32, "gateways": ["a"]},
            "faults": [{"kind": "kill", "nodes": ["b"], "first_ms": 1500, "every_ms": 60000, "lasts_ms": 1500, "lasts_max_ms": 1600}]}))
        with open(report, "w", encoding="utf-8") as to:
            subprocess.run([Programs.troupe, "chaos", "local", "--plan", str(plan), "--daemon", Programs.trouped, "--json"], stdout=to,
                           check=False, timeout=120)
        with Pair(tempfile.mkdtemp(dir=folder), model) as pair, keyed(model, folder) as (guarded, key):
            asked = {"chromium": chromium, "root": os.geteuid() == 0, "urls": pair.urls, "second_pid": pair.processes[1].pid,
                     "guarded_url": guarded.url, "key": key, "report": str(report), "out": str(out)}
            began = time.monotonic()
            subprocess.run(["node", "console_browser.mjs", json.dumps(asked)], cwd=folder, check=True, timeout=240)
            print(f"the browser's walk took {time.monotonic() - began:.1f} s; screenshots are in {out.name}/")


def main():
    Programs.trouped, Programs.troupe = sys.argv[1:3]
    group = {"Page": page, "Rebuild": rebuild, "Words": words, "Browser": browser}[sys.argv[5]]
    group(pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4]))


if __name__ == "__main__":
    main()
