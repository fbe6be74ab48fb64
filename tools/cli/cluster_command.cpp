// How a second machine joins an encrypted cluster: a code that is good once, and the keys go both
// ways.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>

#include "cluster/invite/invite_code.hpp"
#include "cluster/invite/invite_core.hpp"
#include "cluster/link/curve.hpp"
#include "tools/cli/cluster_command.hpp"
#include "tools/cli/key_files.hpp"

namespace troupe::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds join_wait{15'000};
constexpr milliseconds farewell{3'000};  // for a guest that did not get its reply

struct invite_request {
  std::string config, listen = "tcp://0.0.0.0:7419", role = "node", address;
  unsigned minutes = 10;
};

struct join_request {
  key_files files;
  std::string code, at, name, address;
};

milliseconds since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

// Lists the guest as decided, or takes the decision back.
std::string carry_out(invite::invite_core& core, const std::filesystem::path& allow_file,
                      std::string_view request, milliseconds now) {
  const auto known = keys::read_allow_file(allow_file);
  if (!known) return core.not_listed(known.failure().text());
  const auto decided = core.answer(request, *known, now);
  if (!decided.listed) return decided.reply;
  if (const status done = keys::allow_key(allow_file, *decided.listed); !done)
    return core.not_listed(done.failure().text());
  std::cerr << keys::name_of(decided.listed->role) << " " << decided.listed->name
            << " has joined: " << decided.listed->key.text() << std::endl;
  return decided.reply;
}

int serve_invitation(const invite::invite_terms& terms, const std::filesystem::path& allow_file,
                     const std::string& listen) {
  const auto code = invite::invite_code::draw();
  if (!code) return complain(code.failure());
  const auto door_keys = code->one_time_keys();
  if (!door_keys) return complain(door_keys.failure());
  auto door = link::one_time_door::open(listen, *door_keys);
  if (!door) return complain(door.failure());
  std::cout << code->text() << "\n" << std::flush;
  std::cerr << "on the other machine, within "
            << std::chrono::duration_cast<std::chrono::minutes>(terms.open_for).count()
            << " minutes: troupe cluster join " << code->text() << " --at HOST"
            << (*door)->address().substr((*door)->address().rfind(':')) << " --config FILE"
            << std::endl;
  invite::invite_core core(terms);
  const auto start = steady_clock::now();
  auto until = start + terms.open_for;
  while (steady_clock::now() < until && !core.over({}, (*door)->wrong_knocks())) {
    const bool was_used = core.used();
    (*door)->serve(std::chrono::duration_cast<milliseconds>(until - steady_clock::now()),
                   [&](std::string_view request) {
                     return carry_out(core, allow_file, request, since(start));
                   });
    if (core.used() && !was_used) until = std::min(until, steady_clock::now() + farewell);
  }
  if (core.used()) return exit_fine;
  return complain({error_code::deadline_exceeded,
                   core.over({}, (*door)->wrong_knocks())
                       ? "too many wrong codes were tried; this one is void"
                       : "nobody joined in time; the code is void",
                   "invite again"});
}

int invite_someone(const invite_request& request) {
  key_files files;
  files.config = request.config;
  const auto node = files.of_node();
  if (!node) return complain(node.failure());
  if (node->text("link.security") != "curve")
    return complain({error_code::invalid_argument,
                     request.config + " has link.security: off, so there are no keys to exchange",
                     "set link.security: curve and start the node again"});
  const keys::key_place place = keys::place_of(*node);
  const auto own = keys::read_key_file(place.key_file);
  if (!own) return complain(own.failure());
  invite::invite_terms terms;
  terms.role = request.role == "client" ? keys::key_role::client : keys::key_role::node;
  terms.host = {
      keys::key_role::node, node->text("node.name"), own->shown,
      keys::address_form(request.address.empty() ? node->text("link.listen") : request.address)};
  terms.open_for = std::chrono::minutes(request.minutes);
  if (terms.host.address.empty())
    return complain({error_code::invalid_argument, "where this node is dialled is not known",
                     "give it with --address HOST:PORT, or a port in link.listen"});
  return serve_invitation(terms, place.allow_file, request.listen);
}

result<keys::key_pair> own_pair(const std::filesystem::path& file) {
  auto pair = keys::read_key_file(file);
  if (pair || pair.failure().code != error_code::not_found) return pair;
  pair = link::make_key_pair();
  if (!pair) return pair;
  if (const status written = keys::write_key_file(file, *pair); !written) return written.failure();
  std::cerr << "a new key pair is in " << file.string() << std::endl;
  return pair;
}

result<keys::allowed_key> guest_of(const join_request& request, const keys::key_pair& own) {
  keys::allowed_key out{keys::key_role::client, request.name, own.shown,
                        keys::address_form(request.address)};
  if (!request.address.empty() && out.address.empty())
    return error{error_code::invalid_argument, "\"" + request.address + "\" is no address",
                 "HOST:PORT"};
  if (!request.files.config.empty()) {
    const auto node = request.files.of_node();
    if (!node) return node.failure();
    out.role = keys::key_role::node;
    if (out.name.empty()) out.name = node->text("node.name");
    if (out.name != node->text("node.name"))
      return error{error_code::invalid_argument, "the node's name is " + node->text("node.name"),
                   "leave --name out"};
  } else if (out.name.empty()) {
    return error{error_code::invalid_argument, "a client needs a name", "give one with --name"};
  }
  keys::allow_list alone;
  if (const status fine = alone.add(out); !fine) return fine.failure();
  return out;
}

int join(const join_request& request) {
  const auto code = invite::invite_code::parse(request.code);
  if (!code)
    return complain({error_code::invalid_argument, "the code is not whole, or mistyped",
                     "it has 28 characters, as `troupe cluster invite` printed it"});
  const auto place = request.files.place();
  if (!place) return complain(place.failure());
  const auto door_keys = code->one_time_keys();
  if (!door_keys) return complain(door_keys.failure());
  const auto own = own_pair(place->key_file);
  if (!own) return complain(own.failure());
  const auto guest = guest_of(request, *own);
  if (!guest) return complain(guest.failure());
  const auto reply = link::knock(request.at, *door_keys, invite::request_of(*guest), join_wait);
  if (!reply) return complain(reply.failure());
  const auto listed = invite::listed_by_guest(*reply, *guest, request.at);
  if (!listed) return complain(listed.failure());
  const std::string& host = listed->front().name;
  for (const keys::allowed_key& one : *listed) {
    const status done = keys::allow_key(place->allow_file, one);
    if (!done && one.name == host) return complain(done.failure());
    if (!done)
      std::cerr << "troupe: " << one.name << " is not listed: " << done.failure().text() << "\n";
    else
      std::cout << keys::line_of(one);
  }
  std::cerr << guest->name << " has joined by " << host << " (" << place->allow_file.string()
            << ")\n";
  if (listed->size() > 1)
    std::cerr << "only " << host << " knows this key yet; at the other nodes: troupe keys allow "
              << guest->name << " " << guest->key.text() << " --role " << keys::name_of(guest->role)
              << " --config FILE\n";
  std::cerr << std::flush;
  return exit_fine;
}

}  // namespace

void add_cluster(CLI::App& app, action& chosen) {
  CLI::App& group = *app.add_subcommand("cluster", "let another machine into an encrypted cluster");
  group.require_subcommand(1);

  auto inviting = std::make_shared<invite_request>();
  CLI::App& invite_command =
      *group.add_subcommand("invite", "print a code with which one machine joins, and wait for it");
  invite_command.add_option("--config", inviting->config, "this node's YAML file")->required();
  invite_command
      .add_option("--listen", inviting->listen, "HOST:PORT of the invitation, free for its time")
      ->capture_default_str();
  invite_command.add_option(
      "--address", inviting->address,
      "HOST:PORT at which the guest dials this node; else that of link.listen");
  invite_command.add_option("--as", inviting->role, "what joins: node or client")
      ->capture_default_str()
      ->check(CLI::IsMember({"node", "client"}));
  invite_command.add_option("--minutes", inviting->minutes, "how long the code is good")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1440u));
  invite_command.callback(
      [&chosen, inviting] { chosen = [inviting] { return invite_someone(*inviting); }; });

  auto joining = std::make_shared<join_request>();
  CLI::App& join_command =
      *group.add_subcommand("join", "join a cluster with the code of an invitation");
  join_command.add_option("CODE", joining->code, "as `troupe cluster invite` printed it")
      ->required();
  join_command.add_option("--at", joining->at, "HOST:PORT of the invitation")->required();
  joining->files.add_options(join_command);
  join_command.add_option("--name", joining->name, "a client's name; a node's is in its file");
  join_command.add_option(
      "--address", joining->address,
      "HOST:PORT at which the host dials this node; else it waits to be dialled");
  join_command.callback([&chosen, joining] { chosen = [joining] { return join(*joining); }; });
}

}  // namespace troupe::cli
