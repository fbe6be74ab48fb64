// Which door a request knocks at. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "cluster/http/api_error.hpp"
#include "cluster/http/scopes.hpp"

namespace troupe::http {

enum class route_kind {
  root,
  models,
  model,
  completions,
  chat,
  embeddings,
  job_submit,
  job_state,
  job_stream,
  job_cancel,
  ollama_generate,
  ollama_chat,
  ollama_tags,
  ollama_version,
  console,
  health,
  ready,
  metrics,
  picture,
  picture_stream,
  story,
  history,
  log,
  profile,
  any_job_cancel,
  node_drain
};

struct route_row {
  const char* method;
  std::string_view path;  // "*" stands for a part of its own
  route_kind kind;
  access needs;  // no default: a row that does not say it is no row
};
std::span<const route_row> routes();

struct route {
  route_kind kind;
  std::string name;  // the path's own part: a model's name, a job's id
  access needs;
};

// 404 for an unknown path, 405 for a known one with another method. HEAD counts as GET.
std::variant<route, api_error> find_route(std::string_view method, std::string_view path);

// Errors are told in Ollama's shape there.
bool is_ollamas(std::string_view path);

// "%2F" and its like; nullopt where it is no escape.
std::optional<std::string> unescaped(std::string_view text);
// A whole number of a query such as "from=12"; fallback where it is absent, nullopt where it is
// none.
std::optional<std::uint32_t> query_number(std::string_view query, std::string_view name,
                                          std::uint32_t fallback);

// A text of a query such as "node=a%20b", unescaped; empty where it is absent, nullopt where an
// escape is broken.
std::optional<std::string> query_text(std::string_view query, std::string_view name);

// Whether a host, with or without a port, names this machine itself: localhost, ::1 in brackets or
// 127.x.x.x, in any case. Anything beside them makes it another name.
bool names_loopback(std::string_view host);

}  // namespace troupe::http
