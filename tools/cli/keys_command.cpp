// The keys of an encrypted cluster: this side's pair, and the list of who may connect.
#include <iostream>
#include <memory>

#include "cluster/link/curve.hpp"
#include "tools/cli/cluster_command.hpp"
#include "tools/cli/key_files.hpp"
#include "tools/cli/text_table.hpp"

namespace troupe::cli {
namespace {

int make(const key_files& files) {
  const auto place = files.place();
  if (!place) return complain(place.failure());
  const auto pair = link::make_key_pair();
  if (!pair) return complain(pair.failure());
  if (const status written = keys::write_key_file(place->key_file, *pair); !written)
    return complain(written.failure());
  std::cout << pair->shown.text() << "\n" << std::flush;
  std::cerr << "the pair is in " << place->key_file.string() << "; this is its public key"
            << std::endl;
  return exit_fine;
}

int show(const key_files& files) {
  const auto place = files.place();
  if (!place) return complain(place.failure());
  const auto pair = keys::read_key_file(place->key_file);
  if (!pair) return complain(pair.failure());
  if (const status whole = link::check_key_pair(*pair); !whole) return complain(whole.failure());
  std::cout << pair->shown.text() << "\n";
  return exit_fine;
}

int allow(const key_files& files, const std::string& name, const std::string& key,
          const std::string& role, const std::string& address) {
  const auto place = files.place();
  if (!place) return complain(place.failure());
  const auto parsed = keys::public_key::parse(key);
  if (!parsed)
    return complain({error_code::invalid_argument, "KEY is no public key",
                     "64 hexadecimal digits; `troupe keys show` prints it on the other side"});
  keys::allowed_key entry{role == "client" ? keys::key_role::client : keys::key_role::node, name,
                          *parsed, keys::address_form(address)};
  if (!address.empty() && entry.address.empty())
    return complain(
        {error_code::invalid_argument, "\"" + address + "\" is no address", "HOST:PORT"});
  if (const status done = keys::allow_key(place->allow_file, entry); !done)
    return complain(done.failure());
  std::cerr << role << " " << name << " may connect (" << place->allow_file.string() << ")"
            << std::endl;
  return exit_fine;
}

int list(const key_files& files) {
  const auto place = files.place();
  if (!place) return complain(place.failure());
  const auto known = keys::read_allow_file(place->allow_file);
  if (!known) return complain(known.failure());
  text_table table({"ROLE", "NAME", "KEY", "ADDRESS"});
  for (const keys::allowed_key& one : known->all())
    table.add({std::string(keys::name_of(one.role)), one.name, one.key.text(), one.address});
  std::cout << table.text();
  return exit_fine;
}

int revoke(const key_files& files, const std::string& who) {
  const auto place = files.place();
  if (!place) return complain(place.failure());
  if (const status done = keys::revoke_key(place->allow_file, who); !done)
    return complain(done.failure());
  std::cerr << who << " may no longer connect (" << place->allow_file.string() << ")" << std::endl;
  return exit_fine;
}

}  // namespace

void add_keys(CLI::App& app, action& chosen) {
  struct options {
    key_files files;
    std::string name, key, role = "node", address;
  };
  CLI::App& group =
      *app.add_subcommand("keys", "the keys of an encrypted cluster (link.security: curve)");
  group.require_subcommand(1);
  const auto add = [&](const char* name, const char* about) {
    auto given = std::make_shared<options>();
    CLI::App* command = group.add_subcommand(name, about);
    given->files.add_options(*command);
    return std::pair(command, given);
  };

  auto [make_command, to_make] = add("make", "make a key pair, and print its public key");
  make_command->callback(
      [&chosen, given = to_make] { chosen = [given] { return make(given->files); }; });

  auto [show_command, to_show] = add("show", "print the public key of a pair");
  show_command->callback(
      [&chosen, given = to_show] { chosen = [given] { return show(given->files); }; });

  auto [allow_command, to_allow] = add("allow", "let a key connect; a running node notices");
  allow_command->add_option("NAME", to_allow->name, "the node's name, or one for the client")
      ->required();
  allow_command->add_option("KEY", to_allow->key, "its public key")->required();
  allow_command->add_option("--role", to_allow->role, "node or client")
      ->capture_default_str()
      ->check(CLI::IsMember({"node", "client"}));
  allow_command->add_option("--address", to_allow->address, "HOST:PORT at which a node is dialled");
  allow_command->callback([&chosen, given = to_allow] {
    chosen = [given] {
      return allow(given->files, given->name, given->key, given->role, given->address);
    };
  });

  auto [list_command, to_list] = add("list", "print who may connect");
  list_command->callback(
      [&chosen, given = to_list] { chosen = [given] { return list(given->files); }; });

  auto [revoke_command, to_revoke] =
      add("revoke", "let a key connect no longer; a running node ends its sessions");
  revoke_command->add_option("NAME", to_revoke->name, "a name, or a key")->required();
  revoke_command->callback([&chosen, given = to_revoke] {
    chosen = [given] { return revoke(given->files, given->name); };
  });
}

}  // namespace troupe::cli
