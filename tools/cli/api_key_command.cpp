#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <memory>

#include "cluster/http/api_key_file.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/text_table.hpp"

namespace troupe::cli {
namespace {

struct options {
  std::string name, scopes, file;
};

std::optional<std::array<std::uint8_t, http::key_random_bytes>> random_bytes() {
  std::array<std::uint8_t, http::key_random_bytes> out{};
  for (std::size_t held = 0; held < out.size();) {
    const ssize_t count = ::getrandom(out.data() + held, out.size() - held, 0);
    if (count < 0 && errno != EINTR) return std::nullopt;
    if (count > 0) held += static_cast<std::size_t>(count);
  }
  return out;
}

int make(const options& given) {
  if (!http::is_key_name(given.name))
    return complain({error_code::invalid_argument, "\"" + given.name + "\" is no name of a key",
                     "1 to 64 of A-Z a-z 0-9 . _ -"});
  const auto scopes = http::scopes_of(given.scopes);
  if (!scopes)
    return complain({error_code::invalid_argument, "\"" + given.scopes + "\" are no scopes",
                     "some of viewer,submitter,operator,admin,chaos, parted by commas"});
  const auto random = random_bytes();
  if (!random)
    return complain(
        {error_code::internal, "the system gives no random numbers", "see getrandom(2)"});
  const http::made_key made = http::make_key(given.name, *scopes, *random);
  const status done =
      http::change_key_file(given.file, [&](std::vector<http::api_key>& keys) -> status {
        for (const http::api_key& key : keys)
          if (key.name == given.name)
            return error{error_code::already_exists, given.file + " has a key " + given.name,
                         "revoke it first, or take another name"};
        keys.push_back(made.key);
        return {};
      });
  if (!done) return complain(done.failure());
  std::cout << made.token << "\n";
  std::cerr << "key " << given.name << " (" << http::text_of(*scopes)
            << "): shown this once; only its hash is in " << given.file << "\n";
  return exit_fine;
}

int list(const options& given) {
  const auto read = http::read_key_file(given.file);
  if (!read) return complain(read.failure());
  text_table table({"NAME", "SCOPES"});
  for (const http::api_key& key : read->keys.keys())
    table.add({key.name, http::text_of(key.scopes)});
  std::cout << table.text();
  return exit_fine;
}

int revoke(const options& given) {
  if (const auto there = http::read_key_file(given.file); !there) return complain(there.failure());
  const status done =
      http::change_key_file(given.file, [&](std::vector<http::api_key>& keys) -> status {
        if (std::erase_if(keys, [&](const auto& key) { return key.name == given.name; }) == 0)
          return error{error_code::not_found, given.file + " has no key " + given.name,
                       "`troupe api-key list --file " + given.file + "` tells which it has"};
        return {};
      });
  if (!done) return complain(done.failure());
  std::cout << "key " << given.name << " is revoked\n";
  return exit_fine;
}

}  // namespace

void add_api_key(CLI::App& app, action& chosen) {
  CLI::App& all = *app.add_subcommand("api-key", "keys of HTTP clients (http.api_key_file)");
  all.require_subcommand(1);
  const auto add = [&](const char* verb, const char* about, int (*run)(const options&)) {
    auto given = std::make_shared<options>();
    CLI::App& command = *all.add_subcommand(verb, about);
    if (run != list) command.add_option("--name", given->name, "the key's name")->required();
    if (run == make)
      command
          .add_option(
              "--scope", given->scopes,
              "what it may do: viewer, submitter, operator, admin, chaos, parted by commas; "
              "none includes another")
          ->required();
    command.add_option("--file", given->file, "the key file")->required();
    command.callback([&chosen, given, run] { chosen = [given, run] { return run(*given); }; });
  };
  add("make", "make a key and print it, once", make);
  add("list", "print names and scopes", list);
  add("revoke", "remove a key; a running node asks for it no longer within a second or two",
      revoke);
}

}  // namespace troupe::cli
