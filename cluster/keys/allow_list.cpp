#include "cluster/keys/allow_list.hpp"

#include <algorithm>
#include <functional>

namespace troupe::keys {
namespace {

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos || line[begin] == '#') return out;
    line.remove_prefix(begin);
    const std::size_t size = std::min(line.find_first_of(" \t\r"), line.size());
    out.push_back(line.substr(0, size));
    line.remove_prefix(size);
  }
}

// Calls `each` with every line, its end included, and its number.
void lines_of(std::string_view text,
              const std::function<void(std::string_view, std::size_t)>& each) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::size_t size = end == std::string_view::npos ? text.size() : end + 1;
    each(text.substr(0, size), number);
    text.remove_prefix(size);
  }
}

std::string_view without_end(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  return line;
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

std::string printable(std::string_view word) {
  std::string out;
  for (const char c : word.substr(0, 64)) out += c > 32 && c < 127 ? c : '?';
  return out;
}

status check(const allowed_key& entry) {
  if (!is_name(entry.name))
    return error{error_code::invalid_argument, "\"" + printable(entry.name) + "\" is no name",
                 "1 to 64 of A-Z a-z 0-9 . _ -"};
  if (entry.role == key_role::node && entry.name.starts_with(client_prefix))
    return error{error_code::invalid_argument,
                 "a node may not be called " + entry.name + ": clients' names begin so",
                 "choose another name"};
  if (entry.key.empty())
    return error{error_code::invalid_argument, "the key of " + entry.name + " is missing",
                 "a public key is 64 hexadecimal digits; `troupe keys show` prints it"};
  if (!entry.address.empty() && address_form(entry.address) != entry.address)
    return error{error_code::invalid_argument, "\"" + printable(entry.address) + "\" is no address",
                 "HOST:PORT"};
  if (!entry.address.empty() && entry.role == key_role::client)
    return error{error_code::invalid_argument, "client " + entry.name + " has an address",
                 "only nodes are dialled"};
  return {};
}

result<allowed_key> entry_of(const std::vector<std::string_view>& words) {
  allowed_key out;
  if (words.size() < 3 || words.size() > 4)
    return error{error_code::invalid_argument, "found " + std::to_string(words.size()) + " words",
                 "a line is ROLE NAME KEY, and of a node ADDRESS"};
  if (words[0] == "node")
    out.role = key_role::node;
  else if (words[0] == "client")
    out.role = key_role::client;
  else
    return error{error_code::invalid_argument, "\"" + printable(words[0]) + "\" is no role",
                 "node or client"};
  out.name = words[1];
  const auto key = public_key::parse(words[2]);
  if (!key)
    return error{error_code::invalid_argument, "the third word is no public key",
                 "64 hexadecimal digits; `troupe keys show` prints it"};
  out.key = *key;
  if (words.size() == 4) {
    out.address = address_form(words[3]);
    if (out.address.empty())
      return error{error_code::invalid_argument, "\"" + printable(words[3]) + "\" is no address",
                   "HOST:PORT"};
  }
  return out;
}

}  // namespace

std::string_view name_of(key_role role) {
  return role == key_role::node ? "node" : "client";
}

const allowed_key* allow_list::find(const public_key& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &all_[found->second];
}

const allowed_key* allow_list::at(std::string_view address) const {
  if (address.empty()) return nullptr;
  for (const allowed_key& one : all_)
    if (one.address == address) return &one;
  return nullptr;
}

status allow_list::add(allowed_key entry) {
  if (status holds = check(entry); !holds) return holds;
  if (all_.size() >= allowed_keys_max)
    return error{error_code::resource_exhausted,
                 "more than " + std::to_string(allowed_keys_max) + " keys", "revoke old ones"};
  if (const allowed_key* known = find(entry.key))
    return error{error_code::already_exists, "the key is that of " + known->name + " already",
                 "each has a key of its own"};
  if (const allowed_key* known = at(entry.address))
    return error{error_code::already_exists,
                 entry.address + " is the address of " + known->name + " already",
                 "revoke that one, or leave the address out"};
  for (const allowed_key& one : all_)
    if (one.name == entry.name && one.role != entry.role)
      return error{error_code::already_exists,
                   entry.name + " is a " + std::string(name_of(one.role)) + " already",
                   "choose another name"};
  by_key_.emplace(entry.key, all_.size());
  all_.push_back(std::move(entry));
  return {};
}

result<allow_list> parse_allow_list(std::string_view text, std::string_view shown) {
  allow_list out;
  std::string problems;
  lines_of(text, [&](std::string_view line, std::size_t number) {
    const auto words = words_of(without_end(line));
    if (words.empty()) return;
    result<allowed_key> entry = entry_of(words);
    const status taken = entry ? out.add(std::move(*entry)) : status(entry.failure());
    if (taken || problems.size() > 4096) return;
    problems += (problems.empty() ? "" : "\n") + std::string(shown) + ":" + std::to_string(number) +
                ": " + taken.failure().text();
  });
  if (!problems.empty()) return error{error_code::invalid_argument, problems, ""};
  return out;
}

std::string line_of(const allowed_key& entry) {
  std::string out = std::string(name_of(entry.role)) + " " + entry.name + " " + entry.key.text();
  if (!entry.address.empty()) out += " " + entry.address;
  return out + "\n";
}

bool names_no_host(std::string_view address) {
  return address.starts_with("tcp://*:") || address.starts_with("tcp://0.0.0.0:") ||
         address.starts_with("tcp://[::]:");
}

std::string address_form(std::string_view address) {
  constexpr std::string_view scheme = "tcp://";
  if (address.starts_with(scheme)) address.remove_prefix(scheme.size());
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || address.size() > 256) return {};
  const std::string_view port = address.substr(colon + 1);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (port.empty() || port.size() > 5 || !std::all_of(port.begin(), port.end(), digit)) return {};
  if (const int number = std::stoi(std::string(port)); number < 1 || number > 65535) return {};
  const auto fine = [](char c) { return c > 32 && c < 127 && c != '/' && c != ',' && c != '#'; };
  if (!std::all_of(address.begin(), address.end(), fine)) return {};
  return std::string(scheme) + std::string(address);
}

result<std::string> with_entry(const std::string& text, std::string_view shown,
                               const allowed_key& entry) {
  const result<allow_list> known = parse_allow_list(text, shown);
  if (!known) return known.failure();
  std::string out;
  lines_of(text, [&](std::string_view line, std::size_t) {
    const auto words = words_of(without_end(line));
    const auto there = words.empty() ? result<allowed_key>(error{}) : entry_of(words);
    const bool same =
        there && there->key == entry.key && there->name == entry.name && there->role == entry.role;
    if (!same) out += line;
  });
  if (!out.empty() && out.back() != '\n') out += '\n';
  out += line_of(entry);
  if (const auto whole = parse_allow_list(out, shown); !whole) {
    allow_list before;  // says what is wrong with the entry, not with a line of the file
    for (const allowed_key& one : known->all())
      if (status added = before.add(one); !added) return added.failure();
    if (status added = before.add(entry); !added) return added.failure();
    return whole.failure();
  }
  return out;
}

result<std::string> without_entry(const std::string& text, std::string_view shown,
                                  std::string_view name_or_key) {
  const result<allow_list> known = parse_allow_list(text, shown);
  if (!known) return known.failure();
  const auto key = public_key::parse(name_or_key);
  std::string out;
  bool any = false;
  lines_of(text, [&](std::string_view line, std::size_t) {
    const auto words = words_of(without_end(line));
    const auto there = words.empty() ? result<allowed_key>(error{}) : entry_of(words);
    if (there && (there->name == name_or_key || (key && there->key == *key)))
      any = true;
    else
      out += line;
  });
  if (!any)
    return error{error_code::not_found,
                 std::string(shown) + " has no name or key " + printable(name_or_key),
                 "`troupe keys list` prints what it has"};
  return out;
}

}  // namespace troupe::keys
