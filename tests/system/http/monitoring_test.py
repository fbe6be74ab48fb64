"""What monitoring shows of real daemons, and to whom it tells it: monitoring_test.py TROUPED TROUPE [unittest's arguments]."""

import contextlib
import http.server
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

from http_node import Client, Node, Programs, ask, eventually, tiny_model, together

MODELS = tempfile.TemporaryDirectory()
SEEDS = itertools.count(1000)
SOON = "membership:\n  heartbeat_interval: 100ms\n  down_after: 1s\n  pause_max: 500ms\n"


def setUpModule():
    MODELS.model = tiny_model(MODELS.name)


def tearDownModule():
    MODELS.cleanup()


def troupe(*words):
    return subprocess.run([Programs.troupe, *map(str, words)], capture_output=True, text=True, check=False)


def completion(prompt="Once upon", tokens=24, seed=7, **more):
    return {"model": "tiny", "prompt": prompt, "max_tokens": tokens, "seed": seed, "ignore_eos": True, **more}


def told(node, path):
    status, _, text = ask(node, "GET", path)
    if status != 200:
        raise AssertionError(f"{path}: {status} {text}")
    return json.loads(text)


def picture(node):
    return told(node, "/v1/monitoring/picture")


def part(of, name):
    return next(one for one in of["nodes"] if one["node"] == name)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Collector:
    """Keeps what is posted to it; with `hangs`, takes connections and never answers."""

    def __init__(self, hangs=False):
        self.bodies = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if hangs:
                    outer.ended.wait()
                    return
                outer.bodies.append((self.path, body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.ended = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


class Seen(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.first = Node(MODELS.model, settings=SOON, node="first")
        cls.second = Node(MODELS.model, settings=SOON + f"  peers: [\"tcp://{cls.first.link}\"]\n", node="second")
        assert eventually(lambda: sum(one["up"] for one in picture(cls.first)["nodes"]) == 2)

    @classmethod
    def tearDownClass(cls):
        cls.first.__exit__()
        cls.second.__exit__()

    def post(self, node, body, headers=None):
        status, back, text = ask(node, "POST", "/v1/completions", body, headers)
        self.assertEqual(status, 200, text)
        return back

    def test_any_node_shows_the_whole_cluster(self):
        self.post(self.first, completion("One"))
        for node in (self.first, self.second):
            # On a busy machine a node may miss a round: what is shown of it is older then, and said to be.
            shown = {}
            self.assertTrue(eventually(lambda node=node, shown=shown: shown.update(picture(node)) or not any(
                one["silent"] or one["age_ms"] >= 2000 for one in shown["nodes"])))
            self.assertEqual([one["node"] for one in shown["nodes"]], ["first", "second"])
            self.assertEqual(shown["totals"]["nodes_up"], 2)
            for one in shown["nodes"]:
                self.assertTrue(one["up"])
                self.assertIn("gateway", [actor["name"] for actor in one["status"]["actors"]])
                self.assertGreater(one["status"]["memory_bytes"], 0)
                self.assertGreater(one["status"]["machine"]["process_bytes"], 0)
        self.assertTrue(eventually(lambda: picture(self.second)["totals"]["first_token_seconds"]["count"] >= 1))

    def test_property_15_and_16_and_17_jobs_models_and_resources_are_recorded(self):
        before = part(picture(self.first), "first")["status"]["jobs"]["finished"]
        self.post(self.first, completion("Two"))
        self.assertTrue(eventually(lambda: part(picture(self.first), "first")["status"]["jobs"]["finished"] == before + 1))
        shown = part(picture(self.first), "first")
        self.assertGreater(shown["status"]["jobs"]["total_seconds"]["p99"], 0)
        self.assertEqual([(m["name"], m["state"]) for m in shown["status"]["models"]], [("tiny", "ready")])
        self.assertTrue(eventually(lambda: part(picture(self.first), "first")["status"]["machine"]["process_cpu_cores"] > 0))
        names = {s["name"] for n in told(self.first, "/v1/monitoring/history?node=second")["nodes"] for s in n["series"]}
        self.assertLessEqual({"cpu_share", "memory_share", "tokens_per_second", "disk_written_per_second"}, names)

    def test_a_job_tells_its_story_at_any_node(self):
        trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
        back = self.post(self.first, completion("Three"), {"traceparent": f"00-{trace}-{span}-01"})
        self.assertEqual(back["traceparent"].split("-")[1], trace)
        self.assertNotEqual(back["traceparent"].split("-")[2], span)
        job = back["troupe-job"]
        self.assertTrue(eventually(lambda: ask(self.second, "GET", f"/v1/monitoring/jobs/{job}")[0] == 200))
        story = told(self.second, f"/v1/monitoring/jobs/{job[:23]}")
        self.assertEqual(story["told_by"], "first")
        self.assertEqual(story["job"]["job_id"], job)
        spans = {one["name"]: one for one in story["spans"]}
        self.assertLessEqual({"request", "tokenise", "route", "attempt", "link", "queue", "prefill", "decode"}, set(spans))
        root = spans["request"]
        self.assertEqual(root["trace_high"] + root["trace_low"], trace)
        self.assertEqual(root["parent"], span)
        self.assertEqual(root["id"], back["traceparent"].split("-")[2])
        self.assertEqual(spans["decode"]["parent"], spans["attempt"]["id"])
        because = {a["key"]: a["text"] for a in spans["route"]["attributes"]}["troupe.because"]
        self.assertIn("model ready", because)
        batches = {a["key"]: a["number"] for a in spans["attempt"]["attributes"]}["troupe.batches"]
        self.assertGreaterEqual(batches, 24)
        self.assertEqual(ask(self.first, "GET", "/v1/monitoring/jobs/ffffffff")[0], 404)
        self.assertEqual(ask(self.first, "GET", "/v1/monitoring/jobs/nothing")[0], 400)
        listed = troupe("stats", "--at", self.second.link, "--job", job)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertIn("prefill @", listed.stdout)

    def test_a_long_job_belongs_to_the_trace_that_its_submitter_named(self):
        trace, span = "80e1afed08e019fc1110464cfa66635c", "7a085853722dc6d2"
        status, back, text = ask(self.first, "POST", "/v1/jobs", completion("Long"), {"traceparent": f"00-{trace}-{span}-01"})
        self.assertEqual(status, 202, text)
        self.assertEqual(back["traceparent"].split("-")[1], trace)
        job = json.loads(text)["id"]
        self.assertTrue(eventually(lambda: ask(self.first, "GET", f"/v1/monitoring/jobs/{job}")[0] == 200))
        root = next(one for one in told(self.first, f"/v1/monitoring/jobs/{job}")["spans"] if one["name"] == "request")
        self.assertEqual((root["trace_high"] + root["trace_low"], root["parent"]), (trace, span))
        self.assertEqual(root["id"], back["traceparent"].split("-")[2])

    def test_running_jobs_are_seen_with_where_they_run_and_why(self):
        over = threading.Event()

        def work():
            for n in itertools.count():  # other prompts: a cached answer does not run
                if over.is_set():
                    return
                ask(self.first, "POST", "/v1/completions", completion(f"Four {n}", tokens=400, temperature=1, n=4))
        worker = threading.Thread(target=work)
        worker.start()

        def running():
            jobs = part(picture(self.second), "first")["jobs"]
            return any(j["state"] == "job_running" and j["worker"] and "model ready" in j["because"] and j["answer_tokens"] > 0 for j in jobs)
        try:
            self.assertTrue(eventually(running))
        finally:
            over.set()
            worker.join()

    def test_any_running_job_is_cancelled_at_its_gateways_door(self):
        def cancelled(n):  # False: it ended before it was found
            got = {}
            wish = completion(f"Number {n} is not wanted any more", 1900)
            thread = threading.Thread(target=lambda: got.update(answer=ask(self.first, "POST", "/v1/completions", wish)))
            thread.start()
            while thread.is_alive():
                job = next((one for one in part(picture(self.first), "first")["jobs"] if one["answer_tokens"] > 0), None)
                if job:
                    self.assertEqual(ask(self.second, "DELETE", f"/v1/monitoring/jobs/{job['job_id']}")[0], 404)
                    ask(self.first, "DELETE", f"/v1/monitoring/jobs/{job['job_id']}")
                    break
            thread.join()
            status, _, body = got["answer"]
            if status == 200:
                return False
            self.assertEqual((status, json.loads(body)["error"]["code"]), (409, "cancelled"), body)
            return True
        self.assertTrue(any(cancelled(n) for n in range(20)))
        for job, status in (("nothing", 400), ("01a222c7-bcaa-768f-98c2-3603915efd62", 404)):
            self.assertEqual(ask(self.first, "DELETE", f"/v1/monitoring/jobs/{job}")[0], status)

    def test_the_picture_comes_as_a_stream(self):
        with Client(self.second.at) as client:
            events = client.ask("GET", "/v1/monitoring/stream?interval_ms=250").events()
            for _ in range(3):
                self.assertEqual(len(json.loads(next(events))["nodes"]), 2)
        self.assertEqual(ask(self.second, "GET", "/v1/monitoring/stream?interval_ms=x")[0], 400)

    def test_log_lines_of_all_nodes_are_filtered_and_followed(self):
        job = self.post(self.first, completion("Five"))["troupe-job"]
        self.assertTrue(eventually(lambda: told(self.second, f"/v1/monitoring/log?job={job}")["lines"]))
        lines = told(self.second, f"/v1/monitoring/log?job={job}&node=first&actor=gateway")["lines"]
        self.assertTrue(any(line["text"].startswith("job_accepted ") for line in lines))
        self.assertEqual({line["actor"] for line in lines}, {"gateway"})
        after = ",".join(f"{c['node']}:{c['incarnation']}:{c['sequence']}" for c in told(self.second, "/v1/monitoring/log")["next"])
        self.assertEqual(told(self.second, f"/v1/monitoring/log?job={job}&after={after}")["lines"], [])
        for wrong in ("level=loud", "after=x", "job=ab", "lines=100000", "node=nobody"):
            self.assertEqual(ask(self.second, "GET", "/v1/monitoring/log?" + wrong)[0], 400, wrong)
        shown = troupe("logs", "--at", self.second.link, "--job", job, "--node", "first")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("first/gateway job_finished", shown.stdout)
        follower = subprocess.Popen([Programs.troupe, "logs", "-f", "--at", self.second.link], stdout=subprocess.PIPE, text=True)
        job = self.post(self.first, completion("Six"))["troupe-job"]
        try:
            self.assertTrue(any(job in line for line in iter(follower.stdout.readline, "")))
        finally:
            follower.send_signal(signal.SIGINT)
            self.assertEqual(follower.wait(timeout=20), 0)
            follower.stdout.close()

    def test_a_profile_of_any_node_is_told_by_any_other(self):
        heard = []
        asks = threading.Thread(target=lambda: heard.append(told(self.second, "/v1/monitoring/profile?node=first&seconds=2")))
        asks.start()
        try:
            self.assertTrue(eventually(lambda: "profile_begins" in ask(self.first, "GET", "/v1/monitoring/log?node=first")[2]))
            status, _, text = ask(self.second, "GET", "/v1/monitoring/profile?node=first&seconds=1")
            while asks.is_alive():
                self.post(self.first, completion("Seven", tokens=200, seed=next(SEEDS)))
        finally:
            asks.join()
        self.assertEqual(status, 409, text)
        self.assertIn("first is being profiled already", text)
        profile = heard[0]
        self.assertEqual((profile["node"], profile["kind"], profile["unit"]), ("first", "profile_cpu", "samples"))
        self.assertGreaterEqual(profile["lasted_ms"], 2000)
        self.assertIn(";actor inference;", profile["folded"])
        self.assertEqual(sum(int(line.rsplit(" ", 1)[1]) for line in profile["folded"].splitlines()), profile["value"])
        for wrong, status in (("seconds=0", 400), ("seconds=61", 400), ("kind=x", 400), ("node=nobody", 404)):
            self.assertEqual(ask(self.second, "GET", "/v1/monitoring/profile?" + wrong)[0], status, wrong)

    def test_everything_is_told_as_json(self):
        shown = troupe("stats", "--at", self.first.link, "--json")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        document = json.loads(shown.stdout)
        self.assertEqual(len(document["picture"]["nodes"]), 2)
        self.assertEqual(len(document["history"]["nodes"]), 2)

    def test_what_monitoring_takes_of_the_links_is_counted(self):
        def work(i):
            for n in range(6):
                self.post((self.first, self.second)[i % 2], completion(f"Work {i} {n} " + "a" * 200, tokens=64, temperature=1))
        together(8, work)
        for name, node in (("first", self.first), ("second", self.second)):
            cost = part(picture(node), name)["cost"]
            self.assertGreater(cost["link_bytes_sent_all"], cost["link_bytes_sent"])
            print(f"bytes of monitoring on the links of {name}: {cost['link_bytes_sent']} of {cost['link_bytes_sent_all']}")

    def test_property_18_prometheus_finds_nothing_to_say_of_the_metrics(self):
        text = ask(self.first, "GET", "/metrics")[2]
        for name in ("troupe_num_requests_running", "troupe_machine_cpu_ratio", "troupe_actor_messages_total",
                     "troupe_link_sent_bytes_total", "troupe_monitoring_observations_total", "troupe_e2e_request_latency_seconds_bucket"):
            self.assertIn(name, text)
        if not shutil.which("promtool"):
            self.skipTest("skipped: promtool is not installed (Debian's package prometheus)")
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))


    def test_the_dashboard_and_the_rules_name_metrics_that_there_are(self):
        self.post(self.first, completion("Seven"))
        text = ask(self.first, "GET", "/metrics")[2]
        there = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
        there |= {name + suffix for name in there for suffix in ("_bucket", "_sum", "_count")}
        deploy = pathlib.Path(__file__).parents[3] / "deploy"
        for file in ("prometheus/troupe-rules.yml", "grafana/troupe.json"):
            named = set(re.findall(r"\btroupe_[a-z_0-9]+", (deploy / file).read_text()))
            named = {name for name in named if not name.startswith(("troupe_device_", "troupe_objective_"))}  # where there are any
            self.assertGreater(len(named), 5)
            self.assertEqual(named - there, set(), file)

    def test_prometheus_takes_the_rules(self):
        if not shutil.which("promtool"):
            self.skipTest("skipped: promtool is not installed (Debian's package prometheus)")
        rules = pathlib.Path(__file__).parents[3] / "deploy/prometheus/troupe-rules.yml"
        checked = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


class Outside(unittest.TestCase):
    def test_a_lost_node_turns_red_with_one_incident_and_its_jobs_go_on(self):
        with Collector() as hook:
            alerts = f"monitoring:\n  webhook: {hook.url}/hook\n  alert_after: 0s\n"
            first = Node(MODELS.model, settings=SOON + alerts, node="first", inference="  enabled: false\n")
            second = Node(MODELS.model, settings=SOON + f"  peers: [\"tcp://{first.link}\"]\n" + alerts, node="second")
            with first:
                self.assertTrue(eventually(lambda: sum(one["up"] for one in picture(first)["nodes"]) == 2))
                second.process.kill()
                self.assertTrue(eventually(lambda: not part(picture(first), "second")["up"]))
                self.assertTrue(eventually(lambda: any(a["name"] == "node_down" and a["subject"] == "second" and a["ended_us"] == 0
                                                       for a in part(picture(first), "first")["alerts"])))
                self.assertTrue(eventually(lambda: hook.bodies))
                time.sleep(5)
                posted = [alert for _, body in hook.bodies for alert in json.loads(body)["alerts"] if alert["state"] == "lasts"]
                self.assertEqual([(a["name"], a["incident"]) for a in posted], [("node_down", "node_down:second")])
                self.assertGreater(part(picture(first), "second")["age_ms"], 3000)
            second.__exit__()

    def test_a_node_without_monitoring_serves_and_answers_but_counts_nothing(self):
        with Node(MODELS.model, settings="monitoring:\n  enabled: false\n") as node:
            status, back, text = ask(node, "POST", "/v1/completions", completion())
            self.assertEqual(status, 200, text)
            self.assertEqual(ask(node, "GET", f"/v1/monitoring/jobs/{back['troupe-job']}")[0], 404)
            shown = part(picture(node), "door")["status"]
            self.assertEqual([m["state"] for m in shown["models"]], ["ready"])
            self.assertEqual(shown["jobs"]["accepted"], 1)  # the gateway's own count
            self.assertEqual(shown["jobs"]["finished"], 0)
            self.assertEqual(ask(node, "GET", "/metrics")[0], 200)

    def test_spans_leave_for_a_collector_with_the_clients_trace(self):
        with Collector() as collector, Node(MODELS.model, settings=f"monitoring:\n  traces: {collector.url}/v1/traces\n") as node:
            trace = "0af7651916cd43dd8448eb211c80319c"
            status, _, text = ask(node, "POST", "/v1/completions", completion(), {"traceparent": f"00-{trace}-b7ad6b7169203331-00"})
            self.assertEqual(status, 200, text)
            self.assertTrue(eventually(lambda: collector.bodies))
            path, body = collector.bodies[0]
            self.assertEqual(path, "/v1/traces")
            self.assertIn(bytes.fromhex(trace), body)
            self.assertIn(bytes.fromhex("b7ad6b7169203331"), body)
            for name in (b"request", b"attempt", b"prefill", b"decode", b"troupe.numerics_class"):
                self.assertIn(name, body)

    def test_property_59_jobs_are_served_while_collector_and_alert_receivers_are_dead_or_hang(self):
        with Collector(hangs=True) as hanging:
            dead = f"http://127.0.0.1:{free_port()}"
            for traces, hook in ((hanging.url, dead), (dead, hanging.url)):
                settings = f"monitoring:\n  traces: {traces}/v1/traces\n  webhook: {hook}/x\n  alertmanager: {hook}\n"
                with Node(MODELS.model, settings=settings) as node:
                    def work(i):
                        status, _, text = ask(node, "POST", "/v1/completions", completion(f"Job {i}", temperature=1))
                        self.assertEqual(status, 200, text)
                    together(12, work)
                    self.assertEqual(part(picture(node), "door")["status"]["jobs"]["finished"], 12)
                    began = time.monotonic()
                    node.process.terminate()
                    node.process.wait(timeout=60)
                    self.assertLess(time.monotonic() - began, 30)  # nobody is waited for at the end

    def test_property_59_jobs_are_served_while_the_logs_disk_is_full(self):
        full = "/dev/full"
        if not pathlib.Path(full).exists():
            self.skipTest("skipped: there is no /dev/full")
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder, "full.log")
            log.symlink_to(full)
            os.environ["TROUPE_NODE_LOG_FILE"] = str(log)
            try:
                with Node(MODELS.model) as node:
                    status, _, text = ask(node, "POST", "/v1/completions", completion())
                    self.assertEqual(status, 200, text)
                    self.assertTrue(told(node, "/v1/monitoring/log")["lines"])  # from memory
            finally:
                del os.environ["TROUPE_NODE_LOG_FILE"]

    def test_a_real_prometheus_scrapes_the_door(self):
        if not shutil.which("prometheus"):
            self.skipTest("skipped: prometheus is not installed")
        with Node(MODELS.model) as node, tempfile.TemporaryDirectory() as folder:
            port = free_port()
            config = pathlib.Path(folder, "prometheus.yml")
            config.write_text("global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: troupe\n    static_configs:\n"
                              f"      - targets: [\"{node.at[0]}:{node.at[1]}\"]\n")
            server = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                                       f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                def scraped():
                    with contextlib.suppress(OSError, ValueError):
                        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query=troupe_uptime_seconds", timeout=5) as reply:
                            return json.loads(reply.read())["data"]["result"]
                    return None
                self.assertTrue(eventually(scraped, 60))
            finally:
                server.terminate()
                server.wait(timeout=30)

    def test_property_38_a_real_alertmanager_takes_the_alert(self):
        program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if not program:
            self.skipTest("skipped: Alertmanager is not installed (Debian's package prometheus-alertmanager)")
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            config = pathlib.Path(folder, "alertmanager.yml")
            config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
            server = subprocess.Popen([program, f"--config.file={config}", f"--storage.path={folder}/data", "--cluster.listen-address=",
                                       f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                # Any use of memory at all is too much here.
                settings = f"monitoring:\n  alertmanager: http://127.0.0.1:{port}\n  memory_share_max: 0.000001\n  alert_after: 0s\n"

                def alerts():
                    with contextlib.suppress(OSError, ValueError):
                        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/alerts", timeout=5) as reply:
                            return [one["labels"] for one in json.loads(reply.read())]
                    return []
                self.assertTrue(eventually(lambda: _answers(port), 60))
                with Node(MODELS.model, settings=settings):
                    self.assertTrue(eventually(lambda: any(a["alertname"] == "troupe_memory_high" and a["node"] == "door"
                                                           for a in alerts()), 60))
            finally:
                server.terminate()
                server.wait(timeout=30)


def _answers(port):
    with contextlib.suppress(OSError):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as reply:
            return reply.status == 200
    return False


if __name__ == "__main__":
    Programs.trouped, Programs.troupe = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
