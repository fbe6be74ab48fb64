// What a user's configuration file may hold, and what a wrong one is told.
#include "config/settings.hpp"
#include "config/objective.hpp"
#include "config/written_split.hpp"

#include <doctest/doctest.h>

#include <set>

#include "config/outcome.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

result<settings> read(std::string_view yaml, environment variables = {}) {
  return read_settings(yaml, "node.yaml", "/etc/troupe", variables);
}

std::string refusal(std::string_view yaml, environment variables = {}) {
  const auto read_back = read(yaml, std::move(variables));
  REQUIRE_FALSE(read_back.ok());
  CHECK(read_back.failure().code == error_code::invalid_argument);
  return read_back.failure().text();
}

}  // namespace

TEST_CASE("every row has a unique dotted name, a sentence and a default inside its own bounds") {
  std::set<std::string_view> names;
  std::set<std::string> variables;
  for (const setting_row& row : settings_table()) {
    CAPTURE(std::string(row.name));
    CHECK(names.insert(row.name).second);
    CHECK(variables.insert(variable_of(row.name)).second);
    CHECK(row.name.find('.') != std::string_view::npos);
    CHECK(row.about.ends_with("."));
    CHECK(row.minimum <= row.maximum);
    CHECK(explain().find(variable_of(row.name)) != std::string::npos);
  }
  const auto defaults = read("");
  REQUIRE(defaults.ok());
  CHECK(defaults->origin("link.listen") == "default");
}

TEST_CASE("the defaults fit together: what one step can compute runs, what a gateway takes waits") {
  const auto s = read("");
  REQUIRE(s.ok());
  CHECK(s->integer("inference.batch_max") == 32);
  CHECK(s->integer("inference.sequences_max") >= s->integer("inference.batch_max"));
  CHECK(s->integer("inference.batch_tokens_max") >= s->integer("inference.batch_max"));
  CHECK(s->integer("inference.queue_max") >= s->integer("gateway.jobs_max"));
}

TEST_CASE("values of each type are read") {
  const auto s = read(R"(
node:
  name: mainpc
  log_level: debug
link:
  listen: 127.0.0.1:7411
  queued_bytes_max: 128MiB
  silence_max: 2s
membership:
  peers: ["127.0.0.1:7412", tcp://pc2:7413]
inference:
  enabled: false
  threads: 3
  affinity: [0, 2]
models:
  directories: [models, /srv/models, ../more]
cache:
  local_bytes_max: 1000
)");
  REQUIRE_MESSAGE(s.ok(), s.failure().text());
  CHECK(s->text("node.name") == "mainpc");
  CHECK(s->text("link.listen") == "tcp://127.0.0.1:7411");
  CHECK(s->bytes("link.queued_bytes_max") == 128u << 20);
  CHECK(s->duration("link.silence_max") == 2s);
  CHECK(s->list("membership.peers") ==
        std::vector<std::string>{"tcp://127.0.0.1:7412", "tcp://pc2:7413"});
  CHECK_FALSE(s->flag("inference.enabled"));
  CHECK(s->integer("inference.threads") == 3);
  CHECK(s->integers("inference.affinity") == std::vector<std::int64_t>{0, 2});
  CHECK(s->list("models.directories") ==
        std::vector<std::string>{"/etc/troupe/models", "/srv/models", "/etc/more"});
  CHECK(s->bytes("cache.local_bytes_max") == 1000);
  CHECK(s->origin("inference.threads") == "node.yaml:13");
}

TEST_CASE("the environment stands above the file, and its paths count from the working directory") {
  const auto s = read("link:\n  listen: 127.0.0.1:7411\n",
                      {{"TROUPE_LINK_LISTEN", "127.0.0.1:9000"},
                       {"TROUPE_MEMBERSHIP_PEERS", "127.0.0.1:1,127.0.0.1:2"},
                       {"TROUPE_NODE_STATE_DIR", "here"}});
  REQUIRE_MESSAGE(s.ok(), s.failure().text());
  CHECK(s->text("link.listen") == "tcp://127.0.0.1:9000");
  CHECK(s->origin("link.listen") == "environment TROUPE_LINK_LISTEN");
  CHECK(s->list("membership.peers").size() == 2);
  CHECK(s->text("node.state_dir") == (std::filesystem::current_path() / "here").string());
  CHECK(s->text("node.log_file") ==
        (std::filesystem::current_path() / "here/trouped.log").string());
}

TEST_CASE("an unknown key is refused with file, line, key and the nearest known one") {
  CHECK(refusal("link:\n  listn: 127.0.0.1:1\n") ==
        "node.yaml:2: link.listn: unknown setting; did you mean link.listen?");
  CHECK(refusal("lnk:\n  listen: 127.0.0.1:1\n") ==
        "node.yaml:1: lnk: unknown section; did you mean link?");
  CHECK(refusal("", {{"TROUPE_LINK_LISTN", "x"}}) ==
        "environment TROUPE_LINK_LISTN: no setting has this variable; did you mean "
        "TROUPE_LINK_LISTEN?");
  CHECK(load_settings({{"TROUPE_KEY_FILE", "k"}, {"TROUPE_SERVER_KEY", "s"}}));  // a client's
  CHECK_FALSE(load_settings({{"TROUPE_KEY_FILES", "k"}}));
}

TEST_CASE(
    "wrong types, ranges, duplicates and nesting are refused with what was found and what is "
    "allowed") {
  CHECK(refusal("inference:\n  threads: many\n") ==
        "node.yaml:2: inference.threads: found \"many\"; allowed: a whole number from 0 to 1024");
  CHECK(refusal("inference:\n  threads: \"4\"\n").find("found the text \"4\"") !=
        std::string::npos);
  CHECK(refusal("inference:\n  threads: 4096\n").find("allowed: a whole number from 0 to 1024") !=
        std::string::npos);
  CHECK(refusal("inference:\n  threads: [4]\n").find("found a list") != std::string::npos);
  CHECK(refusal("inference:\n  enabled: yes\n").find("allowed: true or false") !=
        std::string::npos);
  CHECK(refusal("link:\n  queued_bytes_max: 99999999999999TiB\n").find("from 1MiB to 64GiB") !=
        std::string::npos);
  CHECK(refusal("link:\n  queued_bytes_max: 64 parsec\n").find("a size such as 64MiB") !=
        std::string::npos);
  CHECK(refusal("link:\n  silence_max: 10\n").find("a time such as 250ms from 50ms to 1h") !=
        std::string::npos);
  CHECK(refusal("link:\n  listen: nonsense\n").find("an address such as") != std::string::npos);
  CHECK(refusal("link:\n  listen: 127.0.0.1:70000\n").find("node.yaml:2: link.listen") !=
        std::string::npos);
  CHECK(refusal("link:\n  listen:\n").find("node.yaml:2: link.listen: found no value") !=
        std::string::npos);
  for (const char* server : {"banana", "unix:relative", "127.0.0.1:0", "tcp://127.0.0.1:6379"})
    CHECK(refusal("cache: {redis: \"" + std::string(server) + "\"}")
              .find("HOST:PORT or unix:/PATH") != std::string::npos);
  CHECK(read("cache: {redis: unix:/run/redis.sock}").ok());
  CHECK(refusal("node:\n  log_level: loud\n").find("one of trace debug info warn error off") !=
        std::string::npos);
  CHECK(refusal("node:\n  name: a b\n").find("a name of") != std::string::npos);
  CHECK(refusal("inference:\n  threads: 1\n  threads: 2\n") ==
        "node.yaml:3: inference.threads: stands twice; the first is in line 2");
  CHECK(refusal("link: {}\nlink: {}\n").find("node.yaml:2: link: stands twice") !=
        std::string::npos);
  CHECK(refusal("listen: 127.0.0.1:1\n").find("belongs below link:") != std::string::npos);
  CHECK(refusal("link.listen: 127.0.0.1:1\n").find("write link: and below it listen:") !=
        std::string::npos);
  CHECK(refusal("link: 5\n").find("node.yaml:1: link: found \"5\"; allowed: keys below") !=
        std::string::npos);
  CHECK(refusal("link:\n  listen:\n    deep: 1\n").find("found a mapping") != std::string::npos);
  CHECK(refusal("- 1\n").find("found a list; allowed: sections") != std::string::npos);
  CHECK(refusal("membership:\n  peers: 127.0.0.1:1\n").find("a list of at most 64") !=
        std::string::npos);
  CHECK(refusal("a: 1\n---\nb: 2\n").find("second document") != std::string::npos);
  CHECK(refusal("link: {listen: [").find("not YAML") != std::string::npos);
}

TEST_CASE("all problems of a file are told at once, in order") {
  CHECK(refusal("link:\n  listn: 1\ninference:\n  threads: x\n  enabled: 3\n",
                {{"TROUPE_NO_SUCH_THING_AT_ALL", ""}}) ==
        "node.yaml:2: link.listn: unknown setting; did you mean link.listen?\n"
        "node.yaml:4: inference.threads: found \"x\"; allowed: a whole number from 0 to 1024\n"
        "node.yaml:5: inference.enabled: found \"3\"; allowed: true or false\n"
        "environment TROUPE_NO_SUCH_THING_AT_ALL: no setting has this variable; unset it, or see "
        "`troupe config explain`");
}

TEST_CASE("a GPU's way of multiplying is exact or tensor, no other word") {
  CHECK(read("")->text("gpu.numerics") == "exact");
  CHECK(read("gpu:\n  numerics: tensor\n")->text("gpu.numerics") == "tensor");
  const std::string told = refusal("gpu:\n  numerics: fast\n");
  CHECK(told.find("gpu.numerics") != std::string::npos);
  CHECK(told.find("exact") != std::string::npos);
}

TEST_CASE("settings that bound each other are checked together") {
  CHECK(refusal("membership:\n  heartbeat_interval: 2s\n  down_after: 3s\n") ==
        "node.yaml:2: membership.heartbeat_interval: found 2s with membership.down_after 3s; "
        "allowed: at most half of membership.down_after");
  CHECK(refusal("link: {queued_bytes_max: 1MiB, chunk_bytes: 1MiB}").find("link.chunk_bytes") !=
        std::string::npos);
}

TEST_CASE("latency objectives are a model, milliseconds and perhaps a share") {
  const auto plain = read_objective("mixtral:1500");
  REQUIRE(plain.has_value());
  CHECK(plain->model == "mixtral");
  CHECK(plain->milliseconds == 1500);
  CHECK(plain->share == 0.99);
  const auto full = read_objective("org/name:tag:300:0.995");
  REQUIRE(full.has_value());
  CHECK(full->model == "org/name:tag");
  CHECK(full->share == 0.995);
  for (const char* wrong : {"", "mixtral", "mixtral:", ":1500", "mixtral:0", "mixtral:1500:1.5",
                            "mixtral:x", "mixtral:-1", "mixtral:0.99"})
    CHECK_FALSE_MESSAGE(read_objective(wrong).has_value(), wrong);
  CHECK(refusal("monitoring:\n  objectives: [mixtral]\n").find("MODEL:MILLISECONDS") !=
        std::string::npos);
}

TEST_CASE("a split is a model, and nodes with the layers that they compute") {
  const auto split = read_split("org/big:70b:pc2=20:pc3=1");
  REQUIRE(split.has_value());
  CHECK(split->model == "org/big:70b");
  REQUIRE(split->parts.size() == 2);
  CHECK(split->parts[0].node == "pc2");
  CHECK(split->parts[0].layers == 20);
  CHECK(split->parts[1].node == "pc3");
  for (const char* wrong :
       {"", "big", "big:", "big:pc2", "big:pc2=", "big:pc2=0", "big:pc2=x", "big:=3", ":pc2=3",
        "pc2=3", "big:pc2=3:", "big:pc2=-1", "big:pc2=3:pc2=4"})
    CHECK_FALSE_MESSAGE(read_split(wrong).has_value(), wrong);
  CHECK(refusal("models:\n  split: [big]\n").find("MODEL:NODE=LAYERS") != std::string::npos);
}

TEST_CASE("an empty name takes the host's, an empty log file lies in the state folder") {
  const auto s = read("node: {state_dir: /var/lib/troupe}");
  REQUIRE(s.ok());
  CHECK_FALSE(s->text("node.name").empty());
  CHECK(s->text("node.log_file") == "/var/lib/troupe/trouped.log");
}

TEST_CASE("a missing file, a folder and a file of another kind are refused by name") {
  CHECK(load_settings("/no/such.yaml", {}).failure().code == error_code::not_found);
  CHECK(load_settings("/", {}).failure().code == error_code::invalid_argument);
}

TEST_CASE("the shipped profiles are valid and differ where they must") {
  const std::filesystem::path folder = std::filesystem::path(TROUPE_SOURCE_DIR) / "config/profiles";
  const auto main_pc = load_settings(folder / "mainpc.yaml", {});
  const auto pc2 = load_settings(folder / "pc2.yaml", {});
  REQUIRE_MESSAGE(main_pc.ok(), main_pc.failure().text());
  REQUIRE_MESSAGE(pc2.ok(), pc2.failure().text());
  CHECK(main_pc->text("node.name") != pc2->text("node.name"));
  CHECK(main_pc->text("node.state_dir") != pc2->text("node.state_dir"));
  CHECK(main_pc->text("cache.redis") == pc2->text("cache.redis"));
  CHECK(main_pc->list("membership.peers") == std::vector<std::string>{pc2->text("link.listen")});
  CHECK(pc2->list("membership.peers") == std::vector<std::string>{main_pc->text("link.listen")});
}

TEST_CASE("the guide explains one setting, one section, or all") {
  CHECK(explain("link.listen").find("TROUPE_LINK_LISTEN") != std::string::npos);
  CHECK(explain("link.listen").find("TROUPE_LINK_CHUNK_BYTES") == std::string::npos);
  CHECK(explain("link").find("TROUPE_LINK_CHUNK_BYTES") != std::string::npos);
  CHECK(explain("nothing").empty());
}
