// What an API key may do, and what a route asks for. Pure.
//
// No scope implies another: a key may do what it names and nothing else. A route's row says what it
// asks for by making an `access`, which has no default: a row that forgets it does not compile.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::http {

enum class scope : std::uint8_t {
  viewer,     // models, nodes, metrics
  submitter,  // answers, and the long jobs that it submitted itself
  ops,        // "operator": any long job, draining
  admin,      // keys and configuration
  chaos       // faults on purpose
};

struct scope_row {
  scope which;
  std::string_view name;
};
inline constexpr scope_row scope_table[] = {{scope::viewer, "viewer"},
                                            {scope::submitter, "submitter"},
                                            {scope::ops, "operator"},
                                            {scope::admin, "admin"},
                                            {scope::chaos, "chaos"}};

class scope_set {
 public:
  constexpr scope_set() = default;
  constexpr scope_set(std::initializer_list<scope> of) {
    for (const scope one : of) add(one);
  }
  constexpr void add(scope one) { bits_ |= bit(one); }
  constexpr bool has(scope one) const { return (bits_ & bit(one)) != 0; }
  constexpr bool shares(scope_set other) const { return (bits_ & other.bits_) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool operator==(const scope_set&) const = default;

 private:
  static constexpr std::uint8_t bit(scope one) {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(one));
  }
  std::uint8_t bits_ = 0;
};

// Names parted by commas: "viewer,submitter".
inline std::string text_of(scope_set set) {
  std::string out;
  for (const scope_row& row : scope_table)
    if (set.has(row.which)) out += (out.empty() ? "" : ",") + std::string(row.name);
  return out;
}

// nullopt: a name that is none, or no name at all.
inline std::optional<scope_set> scopes_of(std::string_view text) {
  scope_set out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::string_view name = text.substr(at, text.find(',', at) - at);
    at += name.size() + 1;
    const scope_set before = out;
    for (const scope_row& row : scope_table)
      if (row.name == name) out.add(row.which);
    if (out == before) return std::nullopt;  // unknown, or told twice
  }
  return out;
}

class access {
 public:
  // For anyone who can reach the door.
  static constexpr access open() { return access({}); }
  template <class... More>
  static constexpr access any_of(scope first, More... more) {
    return access({first, more...});
  }
  constexpr bool is_open() const { return scopes_.empty(); }
  constexpr bool allows(scope_set held) const { return is_open() || held.shares(scopes_); }
  // Changes the cluster: who is refused here is told in the audit log.
  constexpr bool privileged() const {
    return !is_open() && !scopes_.shares({scope::viewer, scope::submitter});
  }
  constexpr scope_set scopes() const { return scopes_; }

 private:
  constexpr explicit access(scope_set scopes) : scopes_(scopes) {}
  scope_set scopes_;
};

}  // namespace troupe::http
