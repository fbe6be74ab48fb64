"""A trouped of its own with an HTTP door, its generated model, and the plainest of HTTP clients."""

import contextlib
import gzip
import json
import pathlib
import socket
import subprocess
import tempfile
import threading
import time


class Programs:
    trouped = ""
    troupe = ""


def tiny_model(folder):
    """Made once for each run; its answers are nonsense."""
    path = pathlib.Path(folder, "tiny.gguf")
    subprocess.run([Programs.troupe, "model", "make", "--shape", "tiny", "--tokenizer", "byte-bpe", "--seed", "7",
                    "--out", str(path)], check=True, stdout=subprocess.DEVNULL)
    return path


def alone(model, prompt, seed, tokens, temperature=1.0):
    """The text that the engine gives without any cluster."""
    made = subprocess.run([Programs.troupe, "generate", "--model", str(model), "--prompt", prompt, "--seed", str(seed),
                           "--max-tokens", str(tokens), "--temperature", str(temperature), "--threads", "1",
                           "--ignore-end", "--json"], check=True, capture_output=True)
    return json.loads(made.stdout)["text"]


class Node:
    """One daemon; `settings` are further sections of its YAML, `http` and `inference` further lines of those sections; `files`
    bounds how many it may open; `name` is the model's, `node` its own."""

    def __init__(self, model, settings="", http="", inference="", listen="tcp://127.0.0.1:0", files=None, name="tiny", node="door"):
        self.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(self.folder.name)
        (root / "models").mkdir()
        (root / "models" / f"{name}.gguf").symlink_to(model)
        (root / "node.yaml").write_text(
            f"node:\n  name: {node}\n  state_dir: state\n  stop_wait: 2s\nlink:\n  listen: tcp://127.0.0.1:0\n"
            f"models:\n  directories: [models]\n  preload: [{name}]\ninference:\n  threads: 1\n  kv_bytes: 64MiB\n"
            f"{inference}http:\n  listen: {listen}\n{http}{settings}")
        self.errors = open(root / "errors", "w+", encoding="utf-8")
        bounded = [] if files is None else ["/bin/sh", "-c", f"ulimit -n {files}; exec \"$@\"", "sh"]
        self.process = subprocess.Popen([*bounded, Programs.trouped, "--config", str(root / "node.yaml")], stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)
        line = self.process.stdout.readline()
        fields = dict(part.split("=", 1) for part in line.split() if "=" in part)
        if "http" not in fields:
            code = self.process.wait(timeout=30)
            self.errors.seek(0)
            told = self.errors.read()
            self.process.stdout.close()
            self.errors.close()
            self.folder.cleanup()
            raise RuntimeError(f"the daemon ended with {code}: {line}{told}")
        self.url = fields["http"]
        self.link = fields["address"].removeprefix("tcp://")
        host, port = self.url.split("://")[1].rsplit(":", 1)
        self.at = (host, int(port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        self.folder.cleanup()

    def log(self):
        return pathlib.Path(self.folder.name, "state", "trouped.log").read_text()


class Reply:
    def __init__(self, status, headers, stream):
        self.status, self.headers, self._stream = status, headers, stream

    def pieces(self):
        """The body as it comes."""
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self._stream.readline(), 16):
                yield self._stream.read(size)
                self._stream.readline()
            self._stream.readline()
        elif "content-length" in self.headers:
            yield self._stream.read(int(self.headers["content-length"]))
        else:
            yield self._stream.read()

    def text(self):
        body = b"".join(self.pieces())
        return (gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body).decode()

    def json(self):
        return json.loads(self.text())

    def events(self):
        """The data of each server-sent event; comments are left out."""
        held = b""
        for piece in self.pieces():
            held += piece
            while b"\n\n" in held:
                event, held = held.split(b"\n\n", 1)
                for line in event.decode().split("\n"):
                    if line.startswith("data: "):
                        yield line[6:]


class Client:
    """One connection."""

    def __init__(self, at, wait=60, tls=None, receive_bytes=None):
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_bytes:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        raw.settimeout(wait)
        raw.connect(at)
        self.socket = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.stream.close()
            self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        line = self.stream.readline()
        if not line:
            raise ConnectionError("the server closed the connection")
        status = int(line.split()[1])
        headers = {}
        while (line := self.stream.readline().strip()):
            name, value = line.decode().split(": ", 1)
            headers[name.lower()] = value
        return Reply(status, headers, self.stream)

    def ask(self, method, path, body=None, headers=None):
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {"host": "localhost", "content-length": str(len(data)), **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in head.items()]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        return self.read()


def ask(node, method, path, body=None, headers=None, **connection):
    """One request over a connection of its own: (status, headers, text)."""
    with Client(node.at, **connection) as client:
        reply = client.ask(method, path, body, headers)
        return reply.status, reply.headers, reply.text() if method != "HEAD" else ""


def eventually(holds, wait_s=30):
    """Tries until `holds()` is true or the time is over; tells whether it became true."""
    until = time.monotonic() + wait_s
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def together(count, work):
    """Runs work(0) ... work(count - 1) at the same time; gives their results, or raises the first failure."""
    results, failures = [None] * count, []

    def one(i):
        try:
            results[i] = work(i)
        except Exception as failure:  # told to the caller
            failures.append(failure)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results
