#include "cluster/http/http_reply.hpp"

#include <charconv>

namespace troupe::http {
namespace {

const char* phrase_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

// A header's value stays on its line, whatever a name in it holds.
std::string one_line(const std::string& value) {
  std::string out;
  for (const char c : value) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return out;
}

}  // namespace

std::string text_of(const reply_head& head) {
  std::string out = "HTTP/1.1 " + std::to_string(head.status) + " " + phrase_of(head.status) +
                    "\r\ncontent-type: " + head.content_type + "\r\n";
  for (const auto& [name, value] : head.headers) out += name + ": " + one_line(value) + "\r\n";
  if (head.length && head.status != 304)  // there it would speak of the page that is not sent
    out += "content-length: " + std::to_string(*head.length) + "\r\n";
  else if (!head.length)
    out += "cache-control: no-cache\r\n";
  if (!head.length && !head.http_1_0) out += "transfer-encoding: chunked\r\n";
  const bool stays = head.keep_alive && (head.length || !head.http_1_0);
  out += stays ? "connection: keep-alive\r\n\r\n" : "connection: close\r\n\r\n";
  return out;
}

std::string chunk_of(std::string_view text) {
  if (text.empty()) return {};
  char size[20];
  const auto end = std::to_chars(size, size + sizeof size, text.size(), 16).ptr;
  std::string out(size, end);
  out += "\r\n";
  out += text;
  return out += "\r\n";
}

std::string refusal(const api_error& why, bool ollama, bool keep_alive) {
  const std::string body = ollama ? ollama_error_document(why) : openai_error_document(why);
  reply_head head;
  head.status = why.status;
  head.length = body.size();
  head.keep_alive = keep_alive;
  if (why.retry_after_s > 0)
    head.headers.emplace_back("retry-after", std::to_string(why.retry_after_s));
  if (why.status == 401) head.headers.emplace_back("www-authenticate", "Bearer");
  return text_of(head) + body;
}

}  // namespace troupe::http
