"""The HTTP door of a real daemon, asked by plain sockets: http_test.py TROUPED TROUPE [unittest's arguments]."""

import concurrent.futures
import contextlib
import json
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import uuid

from http_node import Client, Node, Programs, alone, ask, eventually, tiny_model, together

MODELS = tempfile.TemporaryDirectory()


def setUpModule():
    MODELS.model = tiny_model(MODELS.name)


def tearDownModule():
    MODELS.cleanup()


def completion(prompt="Once upon", tokens=12, seed=7, **more):
    return {"model": "tiny", "prompt": prompt, "max_tokens": tokens, "seed": seed, "ignore_eos": True, **more}


def metric(node, name):
    text = ask(node, "GET", "/metrics")[2]
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node(MODELS.model)

    @classmethod
    def tearDownClass(cls):
        cls.node.__exit__()

    def post(self, path, body, **more):
        status, headers, text = ask(self.node, "POST", path, body, **more)
        self.assertEqual(status, 200, text)
        return headers, json.loads(text)

    def stream(self, path, body):
        with Client(self.node.at) as client:
            reply = client.ask("POST", path, body)
            self.assertEqual(reply.status, 200)
            events = list(reply.events())
        self.assertEqual(events[-1], "[DONE]")
        return [json.loads(event) for event in events[:-1]]

    def test_a_completion_is_the_engines_own_answer(self):
        expected = alone(MODELS.model, "Once upon", 7, 12)
        headers, out = self.post("/v1/completions", completion())
        self.assertEqual(out["choices"][0]["text"], expected)
        self.assertEqual(out["choices"][0]["finish_reason"], "length")
        self.assertEqual(out["usage"]["completion_tokens"], 12)
        self.assertEqual(headers["troupe-node"], "door")
        self.assertEqual(headers["troupe-attempts"], "1")
        self.assertIn("troupe-queue-ms", headers)
        with Client(self.node.at) as client:
            told = client.ask("POST", "/v1/completions", completion(stream=True, seed=70))
            self.assertEqual([told.headers[f"troupe-{name}"] for name in ("gateway", "node", "attempts")], ["door", "door", "1"])
            self.assertGreaterEqual(int(told.headers["troupe-queue-ms"]), 0)
            told.text()
        events = self.stream("/v1/completions", completion(stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(e["choices"][0]["text"] for e in events if e["choices"]), expected)
        self.assertEqual(events[-1]["usage"]["total_tokens"], out["usage"]["total_tokens"])

    def test_a_schema_is_kept_whatever_the_model_would_say(self):
        schema = {"type": "object", "additionalProperties": False, "required": ["ok", "kind"],
                  "properties": {"ok": {"type": "boolean"}, "kind": {"enum": ["small", "large"]}}}
        body = {"model": "tiny", "messages": [{"role": "user", "content": "Well?"}], "max_tokens": 100, "temperature": 1,
                "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}
        for seed in range(5):
            choice = self.post("/v1/chat/completions", {**body, "seed": seed})[1]["choices"][0]
            self.assertEqual(choice["finish_reason"], "stop")
            said = json.loads(choice["message"]["content"])
            self.assertEqual(list(said), ["ok", "kind"])
            self.assertIsInstance(said["ok"], bool)
            self.assertIn(said["kind"], ["small", "large"])
        def nested(levels):
            return {"type": "array", "items": nested(levels - 1)} if levels else {}
        for wrong, named in (({"type": "frog"}, "frog"), ({"properties": {"n": {"type": "integer", "minimum": 3, "maximum": 2}}}, "/properties/n"),
                             ({"properties": {"n": {"enum": []}}}, "/properties/n"), (nested(80), "nest"),
                             ({"contains": {"type": "null"}}, "contains")):
            body["response_format"]["json_schema"]["schema"] = wrong
            status, _, text = ask(self.node, "POST", "/v1/chat/completions", body)
            self.assertEqual(status, 400, text)
            self.assertIn(named, json.loads(text)["error"]["message"])

    def test_log_probabilities_name_tokens_by_their_bytes(self):
        messages = [{"role": "user", "content": "Well?"}]
        for seed in range(3):
            body = {"model": "tiny", "messages": messages, "max_tokens": 40, "seed": seed, "logprobs": True, "top_logprobs": 2}
            choice = self.post("/v1/chat/completions", body)[1]["choices"][0]
            tokens = choice["logprobs"]["content"]
            said = bytes(byte for token in tokens for byte in token["bytes"])
            self.assertEqual(said.decode(errors="replace"), choice["message"]["content"])
            for token in tokens:
                for one in [token, *token["top_logprobs"]]:
                    self.assertLessEqual(one["logprob"], 0)
                    with contextlib.suppress(UnicodeDecodeError):
                        self.assertEqual(bytes(one["bytes"]).decode(), one["token"])
                self.assertEqual(len(token["top_logprobs"]), 2)
            streamed = [e["choices"][0]["logprobs"] for e in self.stream("/v1/chat/completions", {**body, "stream": True})]
            self.assertEqual([token for part in streamed if part for token in part["content"]], tokens)
        for wish in (0, 3):
            out = self.post("/v1/completions", completion(tokens=40, logprobs=wish))[1]["choices"][0]
            lists = out["logprobs"]
            self.assertEqual({len(values) for values in lists.values()}, {40})
            self.assertEqual(lists["text_offset"], sorted(lists["text_offset"]))
            for name, best in zip(lists["tokens"], lists["top_logprobs"]):
                self.assertIn(name, best)
                self.assertLessEqual(len(best), wish + 1)
            events = self.stream("/v1/completions", completion(tokens=40, logprobs=wish, stream=True))
            for key, values in lists.items():
                self.assertEqual([v for e in events for v in (e["choices"][0]["logprobs"] or {}).get(key, [])], values)

    def test_metrics_count_every_door_under_vllms_names(self):
        before = {name: metric(self.node, name) for name in ("troupe_request_success_total", "troupe_generation_tokens_total")}
        self.post("/v1/completions", completion(tokens=5, seed=801))
        subprocess.run([Programs.troupe, "submit", "--at", self.node.link, "--model", "tiny", "--prompt", "Once upon", "--max-tokens",
                        "6", "--seed", "802", "--ignore-end"], check=True, capture_output=True)
        self.assertTrue(eventually(lambda: metric(self.node, "troupe_request_success_total") ==
                                   before["troupe_request_success_total"] + 2))
        self.assertEqual(metric(self.node, "troupe_generation_tokens_total"), before["troupe_generation_tokens_total"] + 11)
        text = ask(self.node, "GET", "/metrics")[2]
        told = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE ")}
        for kind, names in {
                "gauge": "num_requests_running num_requests_waiting kv_cache_usage_perc",
                "counter": "prefix_cache_queries_total prefix_cache_hits_total prompt_tokens_total generation_tokens_total "
                           "request_success_total num_preemptions_total",
                "histogram": "time_to_first_token_seconds inter_token_latency_seconds request_time_per_output_token_seconds "
                             "e2e_request_latency_seconds request_queue_time_seconds request_prefill_time_seconds "
                             "request_decode_time_seconds request_inference_time_seconds request_prompt_tokens "
                             "request_generation_tokens"}.items():
            for name in names.split():
                self.assertEqual(told.get("troupe_" + name), kind, name)
                self.assertIn(f'troupe_{name}{"_count" if kind == "histogram" else ""}{{model_name="tiny"', text)
        self.assertGreater(metric(self.node, "troupe_prefix_cache_queries_total"), 0)

    @unittest.skipUnless(shutil.which("promtool"), "promtool (Debian's package prometheus) is not here")
    def test_prometheus_has_nothing_to_say_about_the_metrics(self):
        self.post("/v1/completions", completion(tokens=5))
        text = ask(self.node, "GET", "/metrics")[2]
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_choices_have_seeds_of_their_own_and_a_known_rule(self):
        _, out = self.post("/v1/completions", completion(n=3))
        texts = [choice["text"] for choice in out["choices"]]
        self.assertEqual(texts[0], alone(MODELS.model, "Once upon", 7, 12))
        self.assertEqual(len(set(texts)), 3)
        self.assertEqual(texts, [c["text"] for c in self.post("/v1/completions", completion(n=3))[1]["choices"]])
        events = self.stream("/v1/completions", completion(n=3, stream=True))
        for index, text in enumerate(texts):
            told = [e["choices"][0]["text"] for e in events if e["choices"][0]["index"] == index]
            self.assertEqual("".join(told), text)

    def test_prompts_as_lists_and_as_token_ids(self):
        _, out = self.post("/v1/completions", completion(prompt=["a b", "c d"]))
        for choice, prompt in zip(out["choices"], ["a b", "c d"]):
            self.assertEqual(choice["text"], alone(MODELS.model, prompt, 7, 12))
        _, out = self.post("/v1/completions", completion(prompt=[5, 6, 7]))
        self.assertEqual(out["usage"]["prompt_tokens"], 3)

    def test_models_and_tags(self):
        for path in ("/v1/models", "/v1/models/tiny", "/api/tags", "/api/version", "/healthz", "/readyz", "/"):
            status, _, text = ask(self.node, "GET", path)
            self.assertEqual(status, 200, path)
        self.assertEqual(json.loads(ask(self.node, "GET", "/v1/models")[2])["data"][0]["id"], "tiny")
        self.assertEqual(json.loads(ask(self.node, "GET", "/api/tags")[2])["models"][0]["name"], "tiny")
        self.assertEqual(ask(self.node, "GET", "/v1/models/none")[0], 404)
        self.assertEqual(ask(self.node, "HEAD", "/healthz")[0], 200)

    def test_one_connection_serves_many_requests(self):
        with Client(self.node.at) as client:
            for _ in range(3):
                self.assertEqual(client.ask("GET", "/healthz").json(), {"status": "ok"})
                self.assertEqual(client.ask("POST", "/v1/completions", completion(tokens=2)).status, 200)
                client.stream.read1()

    def test_ollamas_generate(self):
        body = {"model": "tiny", "prompt": "Once upon", "raw": True, "options": {
            "num_predict": 12, "seed": 7, "temperature": 0}}
        with Client(self.node.at) as client:
            lines = [json.loads(line) for line in client.ask("POST", "/api/generate", body).text().splitlines()]
        self.assertTrue(lines[-1]["done"])
        _, whole = self.post("/api/generate", {**body, "stream": False})
        self.assertEqual("".join(line["response"] for line in lines), whole["response"])

    def test_ollamas_chat_and_its_prompts_that_become_one(self):
        options = {"num_predict": 20, "seed": 7, "temperature": 0.7}
        said = {"model": "tiny:latest", "options": options}
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Well?"}]
        chat = self.post("/api/chat", {**said, "messages": messages, "stream": False})[1]
        self.assertEqual((chat["message"]["role"], chat["done"]), ("assistant", True))
        # The same conversation through each door is the same job.
        prompt = self.post("/api/generate", {**said, "system": "Be brief.", "prompt": "Well?", "stream": False})[1]
        self.assertEqual(prompt["response"], chat["message"]["content"])
        self.assertEqual(prompt["prompt_eval_count"], chat["prompt_eval_count"])
        openais = {"model": "tiny", "messages": messages, "max_tokens": 20, "seed": 7, "temperature": 0.7, "top_k": 40, "top_p": 0.9}
        choice = self.post("/v1/chat/completions", openais)[1]["choices"][0]
        self.assertEqual(choice["message"]["content"], chat["message"]["content"])
        raw = self.post("/api/generate", {**said, "prompt": "Well?", "raw": True, "stream": False})[1]
        self.assertLess(raw["prompt_eval_count"], prompt["prompt_eval_count"])
        with Client(self.node.at) as client:
            reply = client.ask("POST", "/api/chat", {**said, "messages": messages})
            self.assertEqual(reply.headers["troupe-node"], "door")
            lines = [json.loads(line) for line in reply.text().splitlines()]
        self.assertEqual("".join(line["message"]["content"] for line in lines), chat["message"]["content"])
        self.assertEqual([line["done"] for line in lines], [False] * (len(lines) - 1) + [True])
        self.assertEqual(lines[-1]["eval_count"], chat["eval_count"])
        shaped = self.post("/api/chat", {**said, "options": {**options, "num_predict": 100}, "messages": messages, "stream": False,
                                         "format": {"type": "object", "properties": {"ok": {"type": "boolean"}},
                                                    "required": ["ok"], "additionalProperties": False}})[1]
        self.assertIsInstance(json.loads(shaped["message"]["content"])["ok"], bool)
        status, _, text = ask(self.node, "POST", "/api/chat", {**said, "messages": messages, "tools": [{"type": "function"}]})
        self.assertEqual(status, 400)
        self.assertIn("tools", json.loads(text)["error"])

    def test_what_is_wrong_is_refused_by_name(self):
        cases = [("/v1/completions", completion(temperature="hot"), 400, "temperature"),
                 ("/v1/completions", completion(tools=[]), 400, "tools"),
                 ("/v1/completions", {**completion(), "model": "none"}, 404, None),
                 ("/v1/completions", completion(prompt="x" * 9000), 400, None),
                 ("/v1/completions", b"{\"model\": \"\xff\"}", 400, None),
                 ("/v1/completions", b"[" * 50000, 400, None),
                 ("/v1/nothing", {}, 404, None)]
        for path, body, status, param in cases:
            got, _, text = ask(self.node, "POST", path, body)
            self.assertEqual(got, status, text)
            self.assertEqual(json.loads(text)["error"]["param"], param)
        self.assertEqual(ask(self.node, "PUT", "/v1/completions", {})[0], 405)
        self.assertEqual(ask(self.node, "GET", "/", headers={"host": "evil.example"})[0], 403)
        self.assertEqual(ask(self.node, "GET", "/", headers={"origin": "https://evil.example"})[0], 403)
        status, _, text = ask(self.node, "POST", "/api/generate", {"model": "tiny"})
        self.assertEqual((status, json.loads(text)["error"].split(":")[0]), (400, "prompt"))

    def test_long_jobs_go_on_alone_and_are_read_from_any_index(self):
        job = str(uuid.uuid4())
        wish = {**completion(tokens=200), "id": job}
        self.assertEqual(ask(self.node, "POST", "/v1/jobs", wish)[0], 202)
        self.assertEqual(ask(self.node, "POST", "/v1/jobs", wish)[0], 200)
        self.assertEqual(ask(self.node, "POST", "/v1/jobs", {**wish, "seed": 8})[0], 409)
        with Client(self.node.at) as client:
            events = [json.loads(e) for e in client.ask("GET", f"/v1/jobs/{job}/stream").events() if e != "[DONE]"]
        state = json.loads(ask(self.node, "GET", f"/v1/jobs/{job}")[2])
        self.assertEqual(state["state"], "finished")
        self.assertEqual(state["node"], "door")
        self.assertEqual(state["tokens"], 200)
        self.assertEqual("".join(e["text"] for e in events), state["text"])
        self.assertEqual(state["text"], alone(MODELS.model, "Once upon", 7, 200))
        self.assertEqual([e["index"] for e in events], [sum(len(f["ids"]) for f in events[:i]) for i in range(len(events))])
        half = events[len(events) // 2]["index"]
        with Client(self.node.at) as client:
            rest = [json.loads(e) for e in client.ask("GET", f"/v1/jobs/{job}/stream?from={half}").events() if e != "[DONE]"]
        self.assertEqual(rest, [e for e in events if e["index"] >= half])
        self.assertEqual(ask(self.node, "GET", f"/v1/jobs/{uuid.uuid4()}")[0], 404)

    def test_a_cancelled_job_ends(self):
        job = str(uuid.uuid4())
        ask(self.node, "POST", "/v1/jobs", {**completion(tokens=2000, seed=11), "id": job, "priority": "background"})
        status, _, text = ask(self.node, "DELETE", f"/v1/jobs/{job}")
        self.assertEqual((status, json.loads(text)["state"]), (200, "cancelled"))
        self.assertTrue(eventually(lambda: metric(self.node, "troupe_num_requests_running") == 0))


class Crowds(unittest.TestCase):
    def test_five_hundred_streams_none_lost_none_mixed(self):
        count, tokens = 500, 16
        with Node(MODELS.model) as node:  # every bound as it comes
            def one(i):
                with Client(node.at, wait=280) as client:
                    reply = client.ask("POST", "/v1/completions", completion(f"story {i}", tokens, i, stream=True))
                    if reply.status != 200:
                        return reply.status, reply.text(), ""
                    events = list(reply.events())
                    return reply.status, events[-1], "".join(json.loads(e)["choices"][0]["text"] for e in events[:-1])
            told = together(count, one)
            self.assertEqual(metric(node, "troupe_http_requests_refused_total"), 0)
            self.assertEqual(metric(node, "troupe_num_requests_waiting"), 0)
        self.assertEqual([(status, last) for status, last, _ in told if (status, last) != (200, "[DONE]")], [])
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            expected = list(pool.map(lambda i: alone(MODELS.model, f"story {i}", i, tokens), range(count)))
        self.assertEqual([i for i in range(count) if told[i][2] != expected[i]], [])

    def test_few_files_mean_few_connections_not_a_deaf_node(self):
        with Node(MODELS.model, files=150) as node:
            held = []
            for _ in range(149):
                client = Client(node.at)
                held.append(client)
                client.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
                status = client.read().status
                if status != 200:
                    break
            self.assertEqual(status, 503)
            self.assertGreater(len(held), 50)
            self.assertIn("http_connections_bounded", node.log())
            for client in held[:2]:
                client.close()
            self.assertTrue(eventually(lambda: ask(node, "POST", "/v1/completions", completion())[0] == 200))
            for client in held:
                client.close()

    def test_a_client_that_goes_takes_its_sequence_along(self):
        with Node(MODELS.model) as node:
            for streams in (True, False):
                client = Client(node.at)
                client.send(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\n")
                body = json.dumps(completion(tokens=2000, stream=streams)).encode()
                client.send(b"content-length: %d\r\n\r\n" % len(body) + body)
                self.assertTrue(eventually(lambda: metric(node, "troupe_num_requests_running") == 1))
                client.close()
                self.assertTrue(eventually(lambda: metric(node, "troupe_http_requests_active") == 0, 5))
                self.assertTrue(eventually(lambda: metric(node, "troupe_num_requests_running") == 0, 5))
            stalled = Client(node.at, receive_bytes=2048)  # it does not read, so its answer never ends by itself
            self.assertEqual(stalled.ask("POST", "/v1/completions", completion(tokens=1900, stream=True, logprobs=5)).status, 200)
            self.assertEqual(metric(node, "troupe_num_requests_running"), 1)
            stalled.close()
            self.assertTrue(eventually(lambda: metric(node, "troupe_num_requests_running") == 0))
            self.assertEqual(node.log().count("job_abandoned"), 3)

    def test_a_slow_reader_stalls_its_own_sequence_only(self):
        with Node(MODELS.model) as node, Client(node.at, receive_bytes=2048) as slow:
            body = json.dumps(completion(tokens=1900, stream=True, n=8, logprobs=0)).encode()
            slow.send(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            slow.read()
            expected = alone(MODELS.model, "quick", 3, 30)
            for _ in range(3):
                out = json.loads(ask(node, "POST", "/v1/completions", completion("quick", 30, 3))[2])
                self.assertEqual(out["choices"][0]["text"], expected)
            self.assertEqual(metric(node, "troupe_http_requests_active"), 1)

    def test_a_full_queue_says_so_at_once(self):
        for bounds in ({"http": "  requests_max: 2\n"}, {"settings": "gateway:\n  jobs_max: 2\n"},
                       {"inference": "  sequences_max: 1\n  queue_max: 1\n"}):
            with self.subTest(**bounds), Node(MODELS.model, **bounds) as node:
                held = [Client(node.at, receive_bytes=2048) for _ in range(2)]
                for client in held:  # more than fits between a server and a client that does not read
                    long = completion(tokens=1900, stream=True, logprobs=5)
                    self.assertEqual(client.ask("POST", "/v1/completions", long).status, 200)
                for streams in (False, True):
                    status, headers, text = ask(node, "POST", "/v1/completions", completion(stream=streams))
                    self.assertEqual((status, headers["retry-after"]), (429, "1"))
                    self.assertEqual(json.loads(text)["error"]["type"], "rate_limit_error")
                for client in held:
                    client.close()
                self.assertTrue(eventually(lambda: ask(node, "POST", "/v1/completions", completion())[0] == 200))

    def test_a_streams_head_does_not_wait_for_ever_for_its_first_token(self):
        for wait, status in (("100ms", 200), ("30s", 503)):
            with Node(MODELS.model, http=f"  head_wait: {wait}\n", inference="  enabled: false\n") as node, Client(node.at) as client:
                reply = client.ask("POST", "/v1/completions", completion(stream=True))
                self.assertEqual(reply.status, status)
                self.assertNotIn("troupe-node", reply.headers)
                if status == 200:
                    self.assertEqual([json.loads(event)["error"]["code"] for event in reply.events()], ["unavailable"])


class Strangers(unittest.TestCase):
    def test_half_a_request_and_slow_heads_are_told(self):
        with Node(MODELS.model, http="  request_wait: 300ms\n  idle_wait: 300ms\n") as node:
            for start in (b"POST /v1/completions HTTP/1.1\r\nhost: loc", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{"):
                with Client(node.at) as client:
                    client.send(start)
                    self.assertEqual(client.read().status, 408)
            with Client(node.at) as client:  # byte by byte, without an end: no byte buys more time
                told = threading.Event()
                def drip():
                    with contextlib.suppress(OSError):
                        client.send(b"GET /healthz HTTP/1.1\r\nhost: ")
                        while not told.wait(0.05):
                            client.send(b"a")
                writer = threading.Thread(target=drip)
                writer.start()
                try:
                    self.assertEqual(client.read().status, 408)
                finally:
                    told.set()
                    writer.join()
            with Client(node.at) as client:  # nothing at all: closed without a word
                self.assertEqual(client.stream.read(), b"")
            for bad, status in ((b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nx: " + b"a" * 20000, 431),
                                (b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", 413)):
                with Client(node.at) as client:
                    client.send(bad)
                    self.assertEqual(client.read().status, status)
            self.assertEqual(ask(node, "GET", "/healthz")[0], 200)

    @unittest.skipUnless(shutil.which("openssl"), "skipped: openssl makes the certificate")
    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = pathlib.Path(folder, "cert.pem"), pathlib.Path(folder, "key.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                            "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
            with Node(MODELS.model, http=f"  tls_certificate: {certificate}\n  tls_key: {key}\n") as node:
                self.assertTrue(node.url.startswith("https://"))
                trust = ssl.create_default_context(cafile=str(certificate))
                self.assertEqual(ask(node, "GET", "/healthz", tls=trust)[0], 200)
                expected = alone(MODELS.model, "Once upon", 7, 12)
                with Client(node.at, tls=trust) as client:
                    events = list(client.ask("POST", "/v1/completions", completion(stream=True)).events())
                self.assertEqual("".join(json.loads(e)["choices"][0]["text"] for e in events[:-1]), expected)
                gone = Client(node.at, tls=trust)
                self.assertEqual(gone.ask("POST", "/v1/completions", completion(tokens=2000, stream=True)).status, 200)
                gone.close()
                with Client(node.at) as plain:  # no TLS at all
                    plain.send(b"GET / HTTP/1.1\r\n\r\n")
                    self.assertNotIn(b"200 OK", plain.stream.read())
                self.assertTrue(eventually(lambda: node.log().count("job_abandoned") == 1))

    def test_a_door_open_to_others_needs_keys(self):
        with self.assertRaisesRegex(RuntimeError, "set http.api_key_file"):
            Node(MODELS.model, listen="tcp://0.0.0.0:0")
        with self.assertRaisesRegex(RuntimeError, "only one of"):
            Node(MODELS.model, http="  tls_key: none.pem\n")


if __name__ == "__main__":
    Programs.trouped, Programs.troupe = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
