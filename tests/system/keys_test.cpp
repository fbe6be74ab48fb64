// Encrypted clusters of real daemons, their keys made and exchanged with the `troupe` command.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "nodes.hpp"
#include "run_troupe.hpp"

using namespace system_test;

namespace {

// A machine's keys, in a folder of its own.
struct key_folder {
  scratch_folder folder;

  std::string key_file() const { return (folder.path() / "node.key").string(); }
  std::string allow_file() const { return (folder.path() / "allowed").string(); }
  std::string link_lines() const {
    return "  security: curve\n  key_file: " + key_file() + "\n  allow_file: " + allow_file() +
           "\n";
  }
  troupe::client::connect_options options(milliseconds wait_max = milliseconds(10'000)) const {
    troupe::client::connect_options out;
    out.wait_max = wait_max;
    out.key_file = key_file();
    return out;
  }
};

std::string make_keys(const key_folder& at) {
  const told made = run_troupe({"keys", "make", "--key-file", at.key_file()});
  REQUIRE_MESSAGE(made.code == 0, made.errors);
  REQUIRE(made.output.size() == 65);
  return made.output.substr(0, 64);
}

void allow(const key_folder& at, const std::string& name, const std::string& key,
           const std::string& role, const std::string& address = {}) {
  std::vector<std::string> words = {"keys",   "allow", name,         key,
                                    "--role", role,    "--key-file", at.key_file()};
  if (!address.empty()) {
    words.push_back("--address");
    words.push_back(address);
  }
  const told done = run_troupe(words);
  REQUIRE_MESSAGE(done.code == 0, done.errors);
}

std::string loopback(int port) {
  return "tcp://127.0.0.1:" + std::to_string(port);
}

}  // namespace

TEST_CASE("two daemons with keys answer a listed client, and nobody else") {
  key_folder of_first, of_second, of_client, of_stranger;
  const std::string first_key = make_keys(of_first), second_key = make_keys(of_second),
                    client_key = make_keys(of_client), stranger_key = make_keys(of_stranger);
  const std::string first_at = loopback(free_port()), second_at = loopback(free_port());
  allow(of_first, "second", second_key, "node");
  allow(of_first, "laptop", client_key, "client");
  allow(of_second, "first", first_key, "node", first_at.substr(6));  // so it dials first by itself
  allow(of_client, "first", first_key, "node", first_at.substr(6));
  allow(of_stranger, "first", first_key, "node", first_at.substr(6));

  node first({.name = "first",
              .has_model = false,
              .computes = false,
              .listen = first_at,
              .link = of_first.link_lines()});
  REQUIRE_MESSAGE(first.ready(), first.errors());
  node second({.name = "second", .listen = second_at, .link = of_second.link_lines()});
  REQUIRE_MESSAGE(second.ready(), second.errors());

  // The answer is computed at second: prompt and tokens cross the encrypted link.
  auto client = first.connect(of_client.options());
  REQUIRE(nodes_up(*client, 1));
  const answer given = ask(*client, job_of("The quick brown fox"));
  REQUIRE_MESSAGE(!given.failure, given.failure->text());
  CHECK(given.ids.size() == 24);
  CHECK(given.report.gateway_node == "first");
  CHECK(given.report.worker_node == "second");

  const auto refused = [&](const key_folder& by) {
    auto connected = troupe::client::cluster::connect(first.at(), by.options(milliseconds(3'000)));
    return connected ? std::string() : connected.failure().text();
  };
  CHECK(refused(of_stranger).find("does not list our key") != std::string::npos);
  const auto keyless =
      troupe::client::cluster::connect(first.at(), {.wait_max = milliseconds(3'000)});
  REQUIRE(!keyless);
  CHECK_MESSAGE(keyless.failure().message.find("wants a key") != std::string::npos,
                keyless.failure().text());
  const told status = run_troupe({"status", "--at", first.at()});
  CHECK_MESSAGE(status.code == 3, status.errors);
  CHECK(status.errors.find("--key-file") != std::string::npos);
  CHECK(run_troupe({"status", "--at", first.at(), "--key-file", of_client.key_file()}).code == 0);
  // On its own machine the node's own pair will do.
  CHECK(run_troupe({"status", "--at", first.at(), "--key-file", of_first.key_file()}).code == 0);
  CHECK(eventually([&] {
    return first.log().find("link_stranger_refused key=" + stranger_key) != std::string::npos;
  }));

  // Listed while the daemon runs, then revoked: its session ends.
  allow(of_first, "guest", stranger_key, "client");
  REQUIRE(eventually([&] { return refused(of_stranger).empty(); }));
  auto guest = first.connect(of_stranger.options());
  REQUIRE(run_troupe({"keys", "revoke", "guest", "--key-file", of_first.key_file()}).code == 0);
  CHECK(eventually([&] { return !guest->status_json(milliseconds(1'000)); }));
  CHECK(!refused(of_stranger).empty());
  const answer again = ask(*client, job_of("jumps over"));
  CHECK_MESSAGE(!again.failure, again.failure->text());
}

TEST_CASE("a daemon does not start without the keys that it needs, and says how to mend it") {
  key_folder keys;
  const auto errors_of = [&](const std::string& listen, const std::string& link) {
    node refused({.name = "n", .has_model = false, .listen = listen, .link = link});
    CHECK_FALSE(refused.ready());
    CHECK(refused.process().wait(milliseconds(20'000)).value_or(0) != 0);
    return refused.errors();
  };
  CHECK(errors_of("tcp://0.0.0.0:" + std::to_string(free_port()), "").find("troupe keys make") !=
        std::string::npos);
  CHECK(errors_of("tcp://127.0.0.1:0", keys.link_lines()).find("there is no key file") !=
        std::string::npos);
  make_keys(keys);
  REQUIRE(::chmod(keys.key_file().c_str(), 0644) == 0);
  CHECK(errors_of("tcp://127.0.0.1:0", keys.link_lines()).find("others can read") !=
        std::string::npos);
  REQUIRE(::chmod(keys.key_file().c_str(), 0600) == 0);
  write_file(keys.allow_file(), "node somebody\n");
  CHECK(errors_of("tcp://127.0.0.1:0", keys.link_lines()).find(":1: found 2 words") !=
        std::string::npos);
}

TEST_CASE("a machine joins with the code of an invitation, which is good once") {
  key_folder of_first, of_second, of_client;
  make_keys(of_first);
  const int port = free_port();
  node first({.name = "first",
              .has_model = false,
              .computes = false,
              .listen = loopback(port),
              .link = of_first.link_lines()});
  REQUIRE_MESSAGE(first.ready(), first.errors());
  const std::string first_config = (first.folder() / "node.yaml").string();

  const auto invite = [&](const std::string& role, const std::string& listen,
                          const scratch_folder& scratch) {
    return std::make_unique<child_process>(
        std::vector<std::string>{TROUPE, "cluster", "invite", "--config", first_config, "--listen",
                                 listen, "--as", role},
        scratch.path() / "errors");
  };
  const scratch_folder scratch;
  const std::string door = loopback(free_port());
  auto host = invite("node", door, scratch);
  const auto code = host->line(milliseconds(30'000));
  REQUIRE_MESSAGE(code, content_of(scratch.path() / "errors"));

  // The configuration of a node that is still to be started.
  const std::filesystem::path joining = of_second.folder.path() / "node.yaml";
  write_file(joining, "node:\n  name: second\nlink:\n" + of_second.link_lines());
  std::string wrong = *code;
  wrong[0] = wrong[0] == '0' ? '1' : '0';
  CHECK(run_troupe({"cluster", "join", wrong, "--at", door, "--config", joining.string()}).code ==
        3);
  const told joined =
      run_troupe({"cluster", "join", *code, "--at", door, "--config", joining.string()});
  REQUIRE_MESSAGE(joined.code == 0, joined.errors);
  CHECK(joined.output.starts_with("node first "));
  CHECK(joined.output.find(loopback(port)) != std::string::npos);
  CHECK(host->wait(milliseconds(30'000)).value_or(-1) == 0);
  CHECK(run_troupe({"cluster", "join", *code, "--at", door, "--config", joining.string()}).code !=
        0);
  CHECK(content_of(of_first.allow_file()).find("node second ") != std::string::npos);

  // Its daemon dials the first one, which has not been restarted.
  node second({.name = "second", .link = of_second.link_lines()});
  REQUIRE_MESSAGE(second.ready(), second.errors());
  const scratch_folder more;
  auto second_host = invite("client", door, more);
  const auto client_code = second_host->line(milliseconds(30'000));
  REQUIRE_MESSAGE(client_code, content_of(more.path() / "errors"));
  const told client_joined = run_troupe({"cluster", "join", *client_code, "--at", door,
                                         "--key-file", of_client.key_file(), "--name", "laptop"});
  REQUIRE_MESSAGE(client_joined.code == 0, client_joined.errors);
  auto client = first.connect(of_client.options());
  REQUIRE(nodes_up(*client, 1));
  const answer given = ask(*client, job_of("The quick brown fox"));
  REQUIRE_MESSAGE(!given.failure, given.failure->text());
  CHECK(given.report.worker_node == "second");
}
