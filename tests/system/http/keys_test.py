"""API keys, long jobs' owners and the audit log at a real daemon: keys_test.py TROUPED TROUPE [unittest's arguments]."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import uuid

from http_node import Client, Node, Programs, ask, eventually, tiny_model

SCOPES = ("viewer", "submitter", "operator", "admin", "chaos")
ROUTES = {  # what each is to ask for, apart from the door's own table
    "GET /": "", "GET /console": "", "GET /healthz": "", "GET /readyz": "",
    "GET /metrics": "viewer", "GET /v1/models": "viewer", "GET /v1/models/*": "viewer", "GET /api/tags": "viewer",
    "GET /api/version": "viewer", "GET /v1/monitoring/picture": "viewer", "GET /v1/monitoring/stream": "viewer",
    "GET /v1/monitoring/jobs/*": "viewer", "DELETE /v1/monitoring/jobs/*": "operator", "GET /v1/monitoring/history": "viewer", "GET /v1/monitoring/log": "operator",
    "GET /v1/monitoring/profile": "operator",
    "POST /v1/completions": "submitter", "POST /v1/chat/completions": "submitter", "POST /v1/embeddings": "submitter",
    "POST /api/generate": "submitter", "POST /api/chat": "submitter", "POST /v1/jobs": "submitter",
    "GET /v1/jobs/*": "submitter operator", "GET /v1/jobs/*/stream": "submitter operator", "DELETE /v1/jobs/*": "submitter operator",
    "POST /v1/nodes/*/drain": "operator"}

MODELS = tempfile.TemporaryDirectory()


def setUpModule():
    MODELS.model = tiny_model(MODELS.name)


def tearDownModule():
    MODELS.cleanup()


def troupe(*words):
    return subprocess.run([Programs.troupe, *map(str, words)], capture_output=True, text=True, check=False)


def whole_lines(log):
    """Of an audit log that is being written; what comes after the last end of a line may be half a line."""
    return [json.loads(line) for line in log.read_text().rpartition("\n")[0].splitlines()]


class KeyedNode(Node):
    """A daemon with a key for each scope, named after it, and a second submitter."""

    def __init__(self, **more):
        self.keys = tempfile.TemporaryDirectory()
        self.file = pathlib.Path(self.keys.name, "api.keys")
        self.tokens = {name: self.make(name, scope) for name, scope in [*((s, s) for s in SCOPES), ("second", "submitter,viewer")]}
        super().__init__(MODELS.model, **{**more, "http": f"  api_key_file: {self.file}\n" + more.get("http", "")})

    def __exit__(self, *_):
        super().__exit__()
        self.keys.cleanup()

    def make(self, name, scope):
        made = troupe("api-key", "make", "--name", name, "--scope", scope, "--file", self.file)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def replace(self, text):
        """In one step: half a file is another file."""
        draft = self.file.with_suffix(".draft")
        draft.touch(0o600)
        draft.write_text(text)
        draft.rename(self.file)

    def ask(self, method, path, key=None, body=None):
        headers = {} if key is None else {"authorization": f"Bearer {self.tokens.get(key, key)}"}
        return ask(self, method, path, body, headers)

    def audit(self):
        return whole_lines(self.audit_file())

    def audit_file(self):
        return pathlib.Path(self.folder.name, "state", "audit.log")


class Keys(unittest.TestCase):
    def test_every_route_beside_every_kind_of_key(self):
        table = pathlib.Path(__file__).parents[3] / "cluster" / "http" / "routes.cpp"
        rows = re.findall(r'\{"([A-Z]+)", "([^"]*)", route_kind::\w+,', table.read_text())
        self.assertEqual(sorted(f"{method} {path}" for method, path in rows), sorted(ROUTES))
        refusals = set()
        with KeyedNode() as node:
            for route, scopes in ROUTES.items():
                method, path = route.replace("*", "x").split(" ")
                if path == "/v1/monitoring/stream":
                    path += "?interval_ms=x"  # refused: it would never end
                if path == "/v1/monitoring/profile":
                    path += "?seconds=x"  # refused: it would take its time
                for wrong in (None, "tk-" + "0" * 64, "", node.tokens["admin"][:-1], "x" * 5000):
                    status, headers, text = node.ask(method, path, wrong)
                    with self.subTest(route=route, wrong=wrong):
                        self.assertEqual(status, 401 if scopes else 200, text)
                    if scopes:
                        self.assertEqual(headers["www-authenticate"], "Bearer")
                        refusals.add((path.startswith("/api/"), text))
                for scope in SCOPES:
                    status, _, text = node.ask(method, path, scope)
                    with self.subTest(route=route, scope=scope):
                        if scopes and scope not in scopes:
                            self.assertEqual(status, 403, text)
                        else:
                            self.assertNotIn(status, (401, 403), text)
            for method, path in (("GET", "/nothing"), ("PUT", "/v1/jobs"), ("POST", "/healthz"), ("GET", "/v1/models/%zz")):
                status, _, text = node.ask(method, path)
                self.assertEqual(status, 401)
                refusals.add((False, text))
            self.assertEqual(len(refusals), 2, refusals)  # one for each API's shape, whatever was asked for
            self.assertEqual(node.ask("GET", "/nothing", "viewer")[0], 404)
            with Client(node.at) as client:  # a stranger's body is not waited for
                client.send(b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\nexpect: 100-continue\r\n\r\n")
                reply = client.read()
                self.assertEqual(reply.status, 401)
                refusals.add((False, reply.text()))
                self.assertEqual(client.stream.read(), b"")
            self.assertEqual(len(refusals), 2, refusals)
            # Names are for viewers; whether it serves is for everyone.
            self.assertEqual(node.ask("GET", "/readyz")[2], '{"ready":true}')
            self.assertIn("reasons", node.ask("GET", "/readyz", "viewer")[2])
            text = node.ask("GET", "/metrics", "viewer")[2]
            for reason in ("no_key", "wrong_key", "scope"):
                count = re.search(rf'troupe_http_requests_refused_total{{reason="{reason}"}} (\d+)', text)
                self.assertGreater(int(count[1]), 0, reason)
            kept = node.file.read_text() + node.log() + node.audit_file().read_text()
            for token in node.tokens.values():
                self.assertNotIn(token.removeprefix("tk-"), kept)

    def test_a_changed_key_file_counts_without_a_restart(self):
        with KeyedNode() as node:
            self.assertEqual(node.ask("GET", "/v1/models", "viewer")[0], 200)
            self.assertEqual(troupe("api-key", "revoke", "--name", "viewer", "--file", node.file).returncode, 0)
            self.assertTrue(eventually(lambda: node.ask("GET", "/v1/models", "viewer")[0] == 401))
            new = node.make("viewer", "viewer")
            self.assertTrue(eventually(lambda: node.ask("GET", "/v1/models", new)[0] == 200))
            fine = node.file.read_text()
            node.replace(fine + "a-plain-key\n")
            self.assertTrue(eventually(lambda: node.ask("GET", "/v1/models", new)[0] == 200 and "api_keys_kept" in node.log()))
            self.assertNotIn("a-plain-key", node.log())
            self.assertEqual(troupe("api-key", "list", "--file", node.file).returncode, 3)
            node.replace(fine)
            listed = troupe("api-key", "list", "--file", node.file).stdout
            self.assertEqual(listed.splitlines()[-1].split(), ["viewer", "viewer"])
            self.assertEqual(troupe("api-key", "make", "--name", "viewer", "--scope", "admin", "--file", node.file).returncode, 3)
            self.assertTrue(eventually(lambda: len([e for e in node.audit() if e["what"] == "api_keys"]) >= 3))
            changes = [e for e in node.audit() if e["what"] == "api_keys"]
            self.assertEqual(changes[0]["about"]["removed"], "viewer")
            self.assertIn("failed", [e["outcome"] for e in changes])

    def test_files_that_are_no_key_files_stop_the_start(self):
        with tempfile.NamedTemporaryFile("w", suffix=".keys") as keys:
            for text, told in (("secret-one\n", "troupe api-key make"), ("# none\n", "has no key")):
                keys.seek(0)
                keys.truncate()
                keys.write(text)
                keys.flush()
                with self.assertRaisesRegex(RuntimeError, told) as failed:
                    Node(MODELS.model, http=f"  api_key_file: {keys.name}\n")
                self.assertNotIn("secret-one", str(failed.exception))

    def test_a_long_job_is_its_submitters_or_an_operators(self):
        with KeyedNode(http="  jobs_running_max: 1\n") as node:
            wish = {"model": "tiny", "prompt": "Once upon", "max_tokens": 1500, "seed": 7, "ignore_eos": True}
            first, second = str(uuid.uuid4()), str(uuid.uuid4())
            self.assertEqual(node.ask("POST", "/v1/jobs", "submitter", {**wish, "id": first})[0], 202)
            self.assertEqual(node.ask("POST", "/v1/jobs", "second", {**wish, "id": second})[0], 202)
            unknown = node.ask("GET", f"/v1/jobs/{uuid.UUID(int=5)}", "second")
            for method, path in (("GET", ""), ("GET", "/stream"), ("DELETE", "")):
                status, _, text = node.ask(method, f"/v1/jobs/{first}{path}", "second")
                self.assertEqual((status, text), (404, unknown[2].replace(str(uuid.UUID(int=5)), first)))
                self.assertEqual(node.ask(method, f"/v1/jobs/{first}{path}", "viewer")[0], 403)
            self.assertEqual(node.ask("POST", "/v1/jobs", "second", {**wish, "id": first})[0], 409)
            self.assertEqual(node.ask("GET", f"/v1/jobs/{first}", "submitter")[0], 200)
            self.assertEqual(node.ask("GET", f"/v1/jobs/{first}", "operator")[0], 200)
            with Client(node.at) as client:
                reply = client.ask("GET", f"/v1/jobs/{first}/stream", headers={"authorization": f"Bearer {node.tokens['operator']}"})
                self.assertEqual(reply.status, 200)
                next(reply.events())
            state = json.loads(node.ask("DELETE", f"/v1/jobs/{first}", "operator")[2])
            self.assertEqual(state["state"], "cancelled")
            self.assertEqual(json.loads(node.ask("DELETE", f"/v1/jobs/{second}", "second")[2])["state"], "cancelled")


class Audit(unittest.TestCase):
    def test_what_was_done_is_written_down_and_cannot_be_rewritten(self):
        node = KeyedNode()
        try:
            self.assertEqual(node.ask("POST", "/v1/nodes/door/drain", "submitter")[0], 403)
            self.assertEqual(node.ask("POST", "/v1/nodes/elsewhere/drain", "operator")[0], 404)
            self.assertEqual(node.ask("POST", "/v1/nodes/door/drain?wait_ms=x", "operator")[0], 400)
            status, _, text = node.ask("POST", "/v1/nodes/door/drain?wait_ms=3000", "operator")
            self.assertEqual((status, json.loads(text)), (202, {"draining": True, "wait_ms": 3000}))
            self.assertEqual(node.process.wait(timeout=30), 0)
            told = [(e["who"], e["what"], e["outcome"]) for e in node.audit()]
            self.assertEqual(told, [("daemon", "log_begins", "done"), ("daemon", "start", "done"), ("key:submitter", "request", "refused"),
                                    ("key:operator", "drain", "asked"), ("daemon", "stop", "done")])
            start = node.audit()[1]
            self.assertEqual(start["node"], "door")
            self.assertRegex(start["about"]["configuration"], "^[0-9a-f]{64}$")
            file = node.audit_file()
            fine = troupe("audit", "verify", file)
            self.assertEqual(fine.returncode, 0, fine.stderr)
            sequence, head = fine.stdout.splitlines()[-1].split()[1:]
            self.assertEqual(sequence, "5")
            self.assertEqual(troupe("audit", "verify", "--head", head, file).returncode, 0)
            shown = troupe("audit", "show", file).stdout
            self.assertIn("key:operator", shown)
            self.assertEqual(len(troupe("audit", "show", "--last", "2", file).stdout.splitlines()), 3)
            lines = file.read_text().splitlines(keepends=True)
            for changed, line in ((lines[:2] + lines[3:], 3), (lines[1:], 1), ([*lines[:3], lines[3].replace("operator", "nobody"), lines[4]], 4),
                                  ([*lines[:2], lines[3], lines[2], lines[4]], 3), (lines[:2] + lines[1:], 3)):
                file.write_text("".join(changed))
                told = troupe("audit", "verify", file)
                self.assertEqual(told.returncode, 3)
                self.assertIn(f"line {line}:", told.stderr)
            file.write_text("".join(lines[:-1]))  # seen only against the head that was noted
            self.assertEqual(troupe("audit", "verify", file).returncode, 0)
            self.assertEqual(troupe("audit", "verify", "--head", head, file).returncode, 3)
        finally:
            node.__exit__()

    def test_who_drains_is_written_before_the_stop_also_in_a_hurry_and_after_hanging_up(self):
        for wait_ms in (1, 1, 1, 500):
            with KeyedNode() as node:
                with Client(node.at) as client:
                    client.send(f"POST /v1/nodes/door/drain?wait_ms={wait_ms} HTTP/1.1\r\nhost: a\r\n"
                                f"authorization: Bearer {node.tokens['operator']}\r\n\r\n".encode())
                self.assertEqual(node.process.wait(timeout=30), 0)
                told = [(e["who"], e["what"], e["outcome"], e["about"].get("wait_ms")) for e in node.audit()]
                self.assertEqual(told[2:], [("key:operator", "drain", "asked", str(wait_ms)), ("daemon", "stop", "done", None)])

    def test_a_kill_in_the_middle_of_a_line_is_mended_and_noted(self):
        with Node(MODELS.model) as node:
            log = pathlib.Path(node.folder.name, "state", "audit.log")
            self.assertTrue(eventually(lambda: log.exists() and len(whole_lines(log)) == 2))
            node.process.kill()
            node.process.wait()
            node.process.stdout.close()
            with open(log, "a", encoding="utf-8") as file:
                file.write('{"sequence":3,"time":"2026')
            node.process = subprocess.Popen([Programs.trouped, "--config", str(pathlib.Path(node.folder.name, "node.yaml"))],
                                            stdout=subprocess.PIPE, stderr=node.errors, text=True)
            self.assertTrue(node.process.stdout.readline().startswith("ready"))
            whats = ["log_begins", "start", "torn_line_cut", "start"]
            self.assertTrue(eventually(lambda: [line["what"] for line in whole_lines(log)] == whats), log.read_text())
            self.assertEqual(troupe("audit", "verify", log).returncode, 0)


if __name__ == "__main__":
    Programs.trouped, Programs.troupe = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
