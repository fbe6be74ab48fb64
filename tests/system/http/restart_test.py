"""Long jobs outlive their node's process: restart_test.py TROUPED TROUPE [unittest's arguments]."""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

from http_node import Client, Node, Programs, alone, ask, tiny_model


class Restarted(Node):
    """A daemon that can be killed and started again on its folder; its port is another one then."""

    def kill_and_start(self, orderly=False):
        self.process.terminate() if orderly else self.process.kill()
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process = subprocess.Popen([Programs.trouped, "--config", str(pathlib.Path(self.folder.name, "node.yaml"))],
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)
        fields = dict(part.split("=", 1) for part in self.process.stdout.readline().split() if "=" in part)
        host, port = fields["http"].split("://")[1].rsplit(":", 1)
        self.at = (host, int(port))

    def knows(self, job):
        """Once the gateway has told it; a moment after the start."""
        until = time.monotonic() + 20
        while ask(self, "GET", f"/v1/jobs/{job}")[0] != 200:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True


class LongJobs(unittest.TestCase):
    def read(self, node, job, start, most):
        """At most `most` events of the stream from token `start` on."""
        events = []
        with Client(node.at) as client:
            for data in client.ask("GET", f"/v1/jobs/{job}/stream?from={start}").events():
                if data == "[DONE]":
                    break
                events.append(json.loads(data))
                if len(events) == most:
                    break
        return events

    def test_a_stream_goes_on_where_it_was(self):
        with tempfile.TemporaryDirectory() as folder:
            model = tiny_model(folder)
            expected = alone(model, "Once upon", 7, 1200)
            job = str(uuid.uuid4())
            with Restarted(model) as node:
                wish = {"model": "tiny", "prompt": "Once upon", "max_tokens": 1200, "seed": 7, "ignore_eos": True, "id": job}
                self.assertEqual(ask(node, "POST", "/v1/jobs", wish)[0], 202)
                events = self.read(node, job, 0, 12)
                held = sum(len(e["ids"]) for e in events)
                self.assertGreater(held, 0)
                node.kill_and_start()
                self.assertTrue(node.knows(job), node.log())
                rest = self.read(node, job, held, 10_000)
                self.assertEqual(rest[0]["index"], held)
                self.assertEqual("".join(e["text"] for e in events + rest), expected)
                self.assertEqual(json.loads(ask(node, "GET", f"/v1/jobs/{job}")[2])["text"], expected)
                node.kill_and_start()  # it has ended: nothing is computed again
                self.assertTrue(node.knows(job), node.log())
                self.assertEqual("".join(e["text"] for e in self.read(node, job, 0, 10_000)), expected)

    def test_jobs_that_wait_for_their_turn_survive(self):
        with tempfile.TemporaryDirectory() as folder:
            model = tiny_model(folder)
            jobs = {str(uuid.uuid4()): (900 + 40 * i, i) for i in range(4)}
            for orderly in (False, True):
                with Restarted(model, http="  jobs_running_max: 1\n") as node:
                    for job, (tokens, seed) in jobs.items():
                        wish = {"model": "tiny", "prompt": "Once upon", "max_tokens": tokens, "seed": seed, "ignore_eos": True, "id": job}
                        self.assertEqual(ask(node, "POST", "/v1/jobs", wish)[0], 202)
                    states = [json.loads(ask(node, "GET", f"/v1/jobs/{job}")[2])["state"] for job in jobs]
                    self.assertIn("waiting", states)
                    node.kill_and_start(orderly)
                    for job, (tokens, seed) in jobs.items():
                        self.assertTrue(node.knows(job), node.log())
                        self.assertEqual("".join(e["text"] for e in self.read(node, job, 0, 10_000)),
                                         alone(model, "Once upon", seed, tokens))
                    wish["prompt"] = "Something else"  # the id of the last one still means what it meant
                    self.assertEqual(ask(node, "POST", "/v1/jobs", wish)[0], 409)


if __name__ == "__main__":
    Programs.trouped, Programs.troupe = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
