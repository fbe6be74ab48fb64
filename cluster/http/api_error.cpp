#include "cluster/http/api_error.hpp"

#include <nlohmann/json.hpp>

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

struct status_row {
  error_code code;
  int status;
  const char* type;
  std::uint32_t retry_after_s;
};

// Clients of OpenAI's kind try again by themselves from 500 up, so what cannot become right is 400.
constexpr status_row status_table[] = {
    {error_code::invalid_argument, 400, "invalid_request_error", 0},
    {error_code::not_found, 404, "invalid_request_error", 0},
    {error_code::already_exists, 409, "invalid_request_error", 0},
    {error_code::resource_exhausted, 429, "rate_limit_error", 1},
    {error_code::deadline_exceeded, 504, "server_error", 0},
    {error_code::unavailable, 503, "server_error", 1},
    {error_code::cancelled, 409, "invalid_request_error", 0},
    {error_code::data_corrupt, 500, "server_error", 0},
    {error_code::unsupported, 400, "invalid_request_error", 0},
    {error_code::internal, 500, "server_error", 0},
    {error_code::permission_denied, 403, "permission_error", 0},
};

const status_row& row_of_status(error_code code) {
  for (const status_row& row : status_table)
    if (row.code == code) return row;
  return status_table[9];
}

const char* type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

std::string dumped(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

api_error wrong_field(std::string field, std::string message) {
  api_error out = api_error_of(error_code::invalid_argument, field + ": " + message);
  out.param = std::move(field);
  return out;
}

api_error wrong_request(int status, std::string message) {
  api_error out;
  out.status = status;
  out.type = type_of(status);
  out.code = status == 404   ? "not_found"
             : status == 401 ? "invalid_api_key"
             : status == 403 ? "permission_denied"
             : status == 429 ? "resource_exhausted"
             : status >= 500 ? "unavailable"
                             : "invalid_argument";
  out.message = std::move(message);
  if (status == 429 || status == 503) out.retry_after_s = 1;
  return out;
}

api_error api_error_of(error_code code, std::string message, const std::string& mend) {
  const status_row& row = row_of_status(code);
  api_error out;
  out.status = row.status;
  out.type = row.type;
  out.code = std::string(name_of(code));
  out.message = std::move(message);
  if (!mend.empty()) out.message += "; " + mend;
  out.retry_after_s = row.retry_after_s;
  return out;
}

api_error api_error_of(const proto::Error& from) {
  return api_error_of(static_cast<error_code>(from.code()), from.message(), from.mend());
}

std::string openai_error_document(const api_error& why) {
  json inside = {{"message", why.message},
                 {"type", why.type},
                 {"param", why.param.empty() ? json(nullptr) : json(why.param)},
                 {"code", why.code}};
  return dumped({{"error", std::move(inside)}});
}

std::string ollama_error_document(const api_error& why) {
  return dumped({{"error", why.message}});
}

}  // namespace troupe::http
