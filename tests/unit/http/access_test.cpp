// Every route beside every kind of key, at the real front desk; jobs and who may touch them; who
// may knock where there are no keys.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "cluster/client/uuid.hpp"
#include "cluster/http/front_desk.hpp"

using namespace troupe;
using namespace troupe::http;

namespace {

struct silent_office final : post_office {
  std::vector<envelope_ptr> posted;
  void post(envelope_ptr message) override { posted.push_back(std::move(message)); }
};

struct told_log final : audit::log {
  std::vector<audit::event> events;
  void write(audit::event what) override { events.push_back(std::move(what)); }
};

// A desk whose key file has a key for each scope, named after it.
struct keyed_desk {
  std::filesystem::path folder;
  std::map<std::string, std::string> tokens;  // by name
  silent_office office;
  told_log log;
  std::optional<front_desk> desk;

  explicit keyed_desk(bool with_keys = true) {
    std::string name = (std::filesystem::temp_directory_path() / "desk-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    http_settings settings;
    settings.node = "main";
    settings.api_key_file = (folder / "keys").string();
    std::string text;
    const auto add = [&](const std::string& key, scope_set scopes) {
      std::array<std::uint8_t, key_random_bytes> random{};
      for (std::size_t i = 0; i < random.size(); ++i)
        random[i] = static_cast<std::uint8_t>(tokens.size() * 48 + i);
      const made_key made = make_key(key, scopes, random);
      tokens[key] = made.token;
      text += line_of(made.key) + "\n";
    };
    for (const scope_row& row : scope_table) add(std::string(row.name), {row.which});
    add("other-submitter", {scope::submitter});
    std::ofstream(settings.api_key_file) << text;
    ::chmod(settings.api_key_file.c_str(), 0600);
    http_outside outside;
    outside.office = &office;
    outside.audit = &log;
    outside.session_gone = [](const std::string&) {};
    std::optional<key_file> keys;
    if (with_keys) keys = *read_key_file(settings.api_key_file);
    desk.emplace(settings, outside, std::move(keys));
  }
  ~keyed_desk() { std::filesystem::remove_all(folder); }

  std::variant<caller, api_error> ask(const std::string& method, const std::string& path,
                                      const std::string& token) {
    http_request request;
    request.method = method;
    request.path = path;
    request.host = "localhost";
    if (!token.empty()) request.authorization = "Bearer " + token;
    const auto found = find_route(method, path);
    return desk->recognise(request, std::get_if<route>(&found), "127.0.0.1");
  }
  int status(const std::string& method, const std::string& path, const std::string& token) {
    const auto out = ask(method, path, token);
    return std::holds_alternative<caller>(out) ? 200 : std::get<api_error>(out).status;
  }
};

// What each route is to ask for, apart from its row: "" is open.
const std::map<std::string, std::string> wanted = {{"GET /", ""},
                                                   {"GET /console", ""},
                                                   {"GET /healthz", ""},
                                                   {"GET /readyz", ""},
                                                   {"GET /metrics", "viewer"},
                                                   {"GET /v1/models", "viewer"},
                                                   {"GET /v1/models/*", "viewer"},
                                                   {"GET /api/tags", "viewer"},
                                                   {"GET /api/version", "viewer"},
                                                   {"GET /v1/monitoring/picture", "viewer"},
                                                   {"GET /v1/monitoring/stream", "viewer"},
                                                   {"GET /v1/monitoring/jobs/*", "viewer"},
                                                   {"DELETE /v1/monitoring/jobs/*", "operator"},
                                                   {"GET /v1/monitoring/history", "viewer"},
                                                   {"GET /v1/monitoring/log", "operator"},
                                                   {"GET /v1/monitoring/profile", "operator"},
                                                   {"POST /v1/completions", "submitter"},
                                                   {"POST /v1/chat/completions", "submitter"},
                                                   {"POST /v1/embeddings", "submitter"},
                                                   {"POST /api/generate", "submitter"},
                                                   {"POST /api/chat", "submitter"},
                                                   {"POST /v1/jobs", "submitter"},
                                                   {"GET /v1/jobs/*", "submitter operator"},
                                                   {"GET /v1/jobs/*/stream", "submitter operator"},
                                                   {"DELETE /v1/jobs/*", "submitter operator"},
                                                   {"POST /v1/nodes/*/drain", "operator"}};

std::string path_of(std::string_view pattern) {
  std::string out(pattern);
  if (const std::size_t star = out.find('*'); star != std::string::npos) out.replace(star, 1, "x");
  return out;
}

}  // namespace

TEST_CASE("every route, beside no key, a wrong key and a key of each scope") {
  keyed_desk at;
  std::set<std::string> seen;
  std::string refusal;
  for (const route_row& row : routes()) {
    const std::string name = std::string(row.method) + " " + std::string(row.path);
    CAPTURE(name);
    REQUIRE(wanted.contains(name));
    REQUIRE(seen.insert(name).second);
    const std::string scopes = wanted.at(name), path = path_of(row.path);
    const bool open = scopes.empty();
    for (const std::string& none : {std::string(), std::string("tk-wrong"), std::string(67, 'a'),
                                    at.tokens["viewer"].substr(1)}) {
      CHECK(at.status(row.method, path, none) == (open ? 200 : 401));
      const auto out = at.ask(row.method, path, none);
      if (open) continue;
      const std::string told = openai_error_document(std::get<api_error>(out));
      if (refusal.empty()) refusal = told;
      CHECK(told == refusal);
    }
    for (const scope_row& one : scope_table) {
      const std::string token = at.tokens[std::string(one.name)];
      CAPTURE(one.name);
      CHECK(at.status(row.method, path, token) ==
            (open || scopes.find(one.name) != std::string::npos ? 200 : 403));
    }
  }
  CHECK(seen.size() == wanted.size());
  // What is not there is told only to those who are known.
  for (const auto& [method, path] :
       {std::pair("GET", "/v2"), std::pair("PUT", "/v1/jobs"), std::pair("POST", "/healthz"),
        std::pair("GET", "/v1/models/%zz"), std::pair("GET", "http://evil.example/healthz")}) {
    CAPTURE(path);
    const auto out = at.ask(method, path, "");
    REQUIRE(std::holds_alternative<api_error>(out));
    CHECK(openai_error_document(std::get<api_error>(out)) == refusal);
    CHECK(at.status(method, path, at.tokens["viewer"]) == 200);  // the connection tells them
  }
  CHECK(at.status("HEAD", "/healthz", "") == 200);
  CHECK(at.status("HEAD", "/metrics", "") == 401);
}

TEST_CASE("keys are shown in one way only") {
  keyed_desk at;
  http_request request;
  request.method = "GET";
  request.path = "/metrics";
  const auto found = find_route("GET", "/metrics");
  const route* to = std::get_if<route>(&found);
  const std::string key = at.tokens["viewer"];
  for (const std::string& shown : {key, "bearer " + key, "Basic " + key, "Bearer  " + key,
                                   "Bearer " + key + " ", "Bearer " + key + ", Bearer " + key}) {
    request.authorization = shown;
    CAPTURE(shown);
    CHECK(std::holds_alternative<api_error>(at.desk->recognise(request, to, "10.0.0.1")));
  }
  request.authorization = "Bearer " + key;
  const auto out = at.desk->recognise(request, to, "10.0.0.1");
  REQUIRE(std::holds_alternative<caller>(out));
  CHECK(std::get<caller>(out).client == "key-viewer");
  // With keys the Host header does not matter: a page that rebinds a name has no key.
}

TEST_CASE("refusals are counted by reason; those of privileged routes are in the audit log") {
  keyed_desk at;
  at.status("GET", "/metrics", "");
  at.status("GET", "/metrics", "tk-wrong");
  at.status("GET", "/metrics", at.tokens["submitter"]);
  CHECK(at.log.events.empty());
  at.status("POST", "/v1/nodes/main/drain", at.tokens["submitter"]);
  at.status("POST", "/v1/nodes/main/drain", "");
  const live_counts counts = at.desk->counts();
  const auto count = [&](refusal_reason r) { return counts.refused[static_cast<std::size_t>(r)]; };
  CHECK(count(refusal_reason::no_key) == 2);
  CHECK(count(refusal_reason::wrong_key) == 1);
  CHECK(count(refusal_reason::scope) == 2);
  REQUIRE(at.log.events.size() == 2);
  CHECK(at.log.events[0].who == "key:submitter");
  CHECK(at.log.events[0].outcome == "refused");
  CHECK(at.log.events[1].who == "http:127.0.0.1");
  for (int i = 0; i < 1000; ++i) at.status("POST", "/v1/nodes/main/drain", "tk-wrong");
  CHECK(at.log.events.size() < 60);
  for (const audit::event& event : at.log.events)
    for (const auto& [name, value] : event.about) CHECK(value.find("tk-") == std::string::npos);
}

TEST_CASE("a long job is its submitter's, or an operator's; to others it is not there") {
  keyed_desk at;
  const auto who = [&](const std::string& key) {
    return std::get<caller>(at.ask("GET", "/v1/jobs/x", at.tokens[key]));
  };
  job_wish wish;
  wish.id = std::string(16, 'j');
  wish.owner = "submitter";
  wish.job.mutable_job()->set_model("tiny");
  wish.job.mutable_job()->set_tokens_max(4);
  REQUIRE(std::holds_alternative<job_book::submitted>(at.desk->submit_job(wish)));
  CHECK(at.desk->may_touch(wish.id, who("submitter")));
  CHECK(at.desk->may_touch(wish.id, who("operator")));
  CHECK_FALSE(at.desk->may_touch(wish.id, who("other-submitter")));
  CHECK_FALSE(at.desk->may_touch(std::string(16, 'k'), who("operator")));
  wish.owner = "other-submitter";
  CHECK(std::get<api_error>(at.desk->submit_job(wish)).status == 409);
  // Of before there were keys: nobody's but an operator's.
  wish.id = std::string(16, 'l');
  wish.owner = "";
  REQUIRE(std::holds_alternative<job_book::submitted>(at.desk->submit_job(wish)));
  CHECK_FALSE(at.desk->may_touch(wish.id, who("submitter")));
  CHECK(at.desk->may_touch(wish.id, who("operator")));
  CHECK(at.desk->may_touch(wish.id, caller{"127.0.0.1", {}, {}, true}));
}

TEST_CASE("without keys this machine may do everything, and nobody else may do anything") {
  keyed_desk at(false);
  const auto status = [&](const std::string& bytes) {
    request_reader reader({});
    reader.feed(bytes);
    REQUIRE(reader.now() == request_reader::state::complete);
    const http_request request = reader.take();
    const auto found = find_route(request.method, request.path);
    const auto out = at.desk->recognise(request, std::get_if<route>(&found), "127.0.0.1");
    return std::holds_alternative<caller>(out) ? 200 : std::get<api_error>(out).status;
  };
  const auto from = [&](const std::string& host, const std::string& more = "") {
    for (const char* path : {"/metrics", "/", "/healthz", "/v1/nodes/main/drain"}) {
      const int told = status(std::string(path).ends_with("drain")
                                  ? "POST " + std::string(path) + " HTTP/1.1\r\nHost: " + host +
                                        "\r\n" + more + "Content-Length: 0\r\n\r\n"
                                  : "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + host +
                                        "\r\n" + more + "\r\n");
      if (told != 200) return told;
    }
    return 200;
  };
  for (const char* host :
       {"localhost", "localhost:8411", "LOCALHOST:8411", "LocalHost", "localhost.", "localhost.:80",
        "127.0.0.1", "127.0.0.1:65535", "127.9.9.9", "[::1]", "[::1]:8411"}) {
    CAPTURE(host);
    CHECK(from(host) == 200);
  }
  for (const char* host : {"",
                           "evil.example",
                           "evil.example:8411",
                           "127.0.0.1.evil.example",
                           "localhost.evil.example",
                           "localhost..",
                           "localhost:80@evil.example",
                           "evil.example@localhost",
                           "[::1].evil.example",
                           "[::1]evil.example",
                           "[::1",
                           "[::2]",
                           "[::ffff:10.0.0.1]",
                           "[::ffff:127.0.0.1]",
                           "::1",
                           "127.0.0.1.",
                           "127.0.0.1:80:80",
                           "127.0.0.1:",
                           "127.0.0.1:x",
                           "127.0.0.1:1234567",
                           "0.0.0.0",
                           "10.0.0.1",
                           "127.1",
                           "2130706433",
                           "0x7f000001",
                           "localhost, evil.example",
                           "rebind.localhost",
                           "xn--localhost-"}) {
    CAPTURE(host);
    CHECK(from(host) == 403);
  }
  CHECK(from("localhost", "Host: evil.example\r\n") == 403);
  CHECK(status("GET /metrics HTTP/1.0\r\n\r\n") == 403);  // no Host at all
  for (const char* origin : {"http://localhost:3000", "https://127.0.0.1", "http://[::1]:1"})
    CHECK(from("localhost", "Origin: " + std::string(origin) + "\r\n") == 200);
  for (const char* origin :
       {"https://evil.example", "null", "file://", "http://localhost.evil.example", "localhost",
        "http://localhost:3000/x", "http://evil.example#://localhost"}) {
    CAPTURE(origin);
    CHECK(from("localhost", "Origin: " + std::string(origin) + "\r\n") == 403);
  }
  CHECK(from("localhost", "Origin: http://localhost\r\nOrigin: https://evil.example\r\n") == 403);
  // The target's own authority would count in place of Host: it is not served, whatever it names.
  for (const char* target :
       {"http://evil.example/metrics", "http://localhost/metrics", "HTTP://EVIL.EXAMPLE/"})
    CHECK(status("GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n\r\n") == 403);
}
