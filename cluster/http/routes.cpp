#include "cluster/http/routes.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::http {
namespace {

constexpr access viewer = access::any_of(scope::viewer);
constexpr access submitter = access::any_of(scope::submitter);
constexpr access own_job = access::any_of(scope::submitter, scope::ops);  // whose: the desk asks
constexpr access ops = access::any_of(scope::ops);

constexpr route_row rows[] = {
    {"GET", "/", route_kind::root, access::open()},
    {"GET", "/v1/models", route_kind::models, viewer},
    {"GET", "/v1/models/*", route_kind::model, viewer},
    {"POST", "/v1/completions", route_kind::completions, submitter},
    {"POST", "/v1/chat/completions", route_kind::chat, submitter},
    {"POST", "/v1/embeddings", route_kind::embeddings, submitter},
    {"POST", "/v1/jobs", route_kind::job_submit, submitter},
    {"GET", "/v1/jobs/*/stream", route_kind::job_stream, own_job},
    {"GET", "/v1/jobs/*", route_kind::job_state, own_job},
    {"DELETE", "/v1/jobs/*", route_kind::job_cancel, own_job},
    {"POST", "/v1/nodes/*/drain", route_kind::node_drain, ops},
    {"POST", "/api/generate", route_kind::ollama_generate, submitter},
    {"POST", "/api/chat", route_kind::ollama_chat, submitter},
    {"GET", "/api/tags", route_kind::ollama_tags, viewer},
    {"GET", "/api/version", route_kind::ollama_version, viewer},
    {"GET", "/console", route_kind::console, access::open()},  // the page; its data asks for more
    {"GET", "/healthz", route_kind::health, access::open()},
    {"GET", "/readyz", route_kind::ready, access::open()},
    {"GET", "/metrics", route_kind::metrics, viewer},
    {"GET", "/v1/monitoring/picture", route_kind::picture, viewer},
    {"GET", "/v1/monitoring/stream", route_kind::picture_stream, viewer},
    {"GET", "/v1/monitoring/jobs/*", route_kind::story, viewer},
    {"DELETE", "/v1/monitoring/jobs/*", route_kind::any_job_cancel, ops},  // whoever's it is
    {"GET", "/v1/monitoring/history", route_kind::history, viewer},
    {"GET", "/v1/monitoring/log", route_kind::log, ops},
    {"GET", "/v1/monitoring/profile", route_kind::profile, ops},  // it costs the node something
};

bool all_digits(std::string_view text) {
  for (const char c : text)
    if (c < '0' || c > '9') return false;
  return !text.empty();
}

// The part that "*" stands for; nullopt where the path is another.
std::optional<std::string_view> matched(std::string_view path, std::string_view pattern) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos)
    return path == pattern ? std::optional(std::string_view()) : std::nullopt;
  const std::string_view before = pattern.substr(0, star), after = pattern.substr(star + 1);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) ||
      !path.ends_with(after))
    return std::nullopt;
  const std::string_view part =
      path.substr(before.size(), path.size() - before.size() - after.size());
  return part.find('/') == std::string_view::npos ? std::optional(part) : std::nullopt;
}

}  // namespace

std::span<const route_row> routes() {
  return rows;
}

bool is_ollamas(std::string_view path) {
  return path.starts_with("/api/");
}

std::variant<route, api_error> find_route(std::string_view method, std::string_view path) {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  std::string allowed;
  for (const route_row& row : rows) {
    const auto part = matched(path, row.path);
    if (!part) continue;
    if (wanted != row.method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(row.method);
      continue;
    }
    auto name = unescaped(*part);
    if (!name) return wrong_request(400, "the path has a broken % escape");
    return route{row.kind, *std::move(name), row.needs};
  }
  const std::string shown(path.substr(0, 128));
  if (!allowed.empty())
    return wrong_request(405, shown + " does not take this method; allowed: " + allowed);
  return wrong_request(404, "there is no " + shown +
                                "; there are /v1/models, /v1/chat/completions, /v1/completions, "
                                "/v1/embeddings, /v1/jobs, /v1/nodes/{name}/drain, "
                                "/v1/monitoring/picture, /api/generate, /api/chat, /api/tags, "
                                "/console, /healthz, /readyz and /metrics");
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    unsigned value = 0;
    const char* end = text.data() + i + 3;
    const auto read = std::from_chars(text.data() + i + 1, end, value, 16);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

std::optional<std::uint32_t> query_number(std::string_view query, std::string_view name,
                                          std::uint32_t fallback) {
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    if (part.substr(0, part.find('=')) != name) continue;
    const std::string_view digits =
        part.size() > name.size() ? part.substr(name.size() + 1) : std::string_view();
    std::uint32_t value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool whole = read.ec == std::errc() && read.ptr == digits.data() + digits.size();
    return whole && !digits.empty() ? std::optional(value) : std::nullopt;
  }
  return fallback;
}

std::optional<std::string> query_text(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    if (part.substr(0, part.find('=')) != name) continue;
    return part.size() > name.size() ? unescaped(part.substr(name.size() + 1)) : std::string();
  }
  return std::string();
}

bool names_loopback(std::string_view host) {
  const std::size_t end = host.starts_with("[") ? host.find(']') + 1 : host.find(':');
  if (host.starts_with("[") && end == 0) return false;
  const std::string_view port = end < host.size() ? host.substr(end) : std::string_view();
  if (!port.empty() && (port.size() > 6 || port[0] != ':' || !all_digits(port.substr(1))))
    return false;
  host = host.substr(0, end);
  if (host == "[::1]") return true;
  std::string lower(host);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (lower == "localhost" || lower == "localhost.") return true;
  int parts = 0;
  for (std::string_view rest = host;; ++parts) {
    const std::string_view part = rest.substr(0, rest.find('.'));
    if (part.empty() || part.size() > 3 || !all_digits(part)) return false;
    if (part.size() == rest.size()) break;
    rest.remove_prefix(part.size() + 1);
  }
  return parts == 3 && host.starts_with("127.");
}

}  // namespace troupe::http
