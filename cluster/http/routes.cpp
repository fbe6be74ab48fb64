#include "cluster/http/routes.hpp"

#include <charconv>

namespace troupe::http {
namespace {

struct route_row {
  const char* method;
  std::string_view path;  // "*" stands for a part of its own
  route_kind kind;
  bool open = false;
};

constexpr route_row rows[] = {
    {"GET", "/", route_kind::root, true},
    {"GET", "/v1/models", route_kind::models},
    {"GET", "/v1/models/*", route_kind::model},
    {"POST", "/v1/completions", route_kind::completions},
    {"POST", "/v1/chat/completions", route_kind::chat},
    {"POST", "/v1/embeddings", route_kind::embeddings},
    {"POST", "/v1/jobs", route_kind::job_submit},
    {"GET", "/v1/jobs/*/stream", route_kind::job_stream},
    {"GET", "/v1/jobs/*", route_kind::job_state},
    {"DELETE", "/v1/jobs/*", route_kind::job_cancel},
    {"POST", "/api/generate", route_kind::ollama_generate},
    {"POST", "/api/chat", route_kind::ollama_chat},
    {"GET", "/api/tags", route_kind::ollama_tags},
    {"GET", "/api/version", route_kind::ollama_version},
    {"GET", "/healthz", route_kind::health, true},
    {"GET", "/readyz", route_kind::ready, true},
    {"GET", "/metrics", route_kind::metrics},
};

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
    return route{row.kind, *std::move(name), row.path.starts_with("/api/"), row.open};
  }
  const std::string shown(path.substr(0, 128));
  if (!allowed.empty())
    return wrong_request(405, shown + " does not take this method; allowed: " + allowed);
  return wrong_request(404, "there is no " + shown +
                                "; there are /v1/models, /v1/chat/completions, /v1/completions, "
                                "/v1/embeddings, /v1/jobs, /api/generate, /api/chat, /api/tags, "
                                "/healthz, /readyz and /metrics");
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

bool names_loopback(std::string_view host) {
  if (host.starts_with("[")) return host.substr(0, host.find(']') + 1) == "[::1]";
  host = host.substr(0, host.find(':'));
  if (host == "localhost") return true;
  int dots = 0, digits = 0;
  for (const char c : host) {
    if (c == '.') {
      if (digits == 0) return false;
      ++dots;
      digits = 0;
    } else if (c < '0' || c > '9' || ++digits > 3) {
      return false;
    }
  }
  return dots == 3 && digits > 0 && host.starts_with("127.");
}

}  // namespace troupe::http
