// The bytes of an HTTP/1.1 response: its head, and the chunks of a body whose length is not known.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/http/request_reader.hpp"

namespace troupe::http {

using header_list = std::vector<std::pair<std::string, std::string>>;

struct reply_head {
  int status = 200;
  const char* content_type = "application/json";
  header_list headers = {};
  std::optional<std::uint64_t> length =
      {};  // absent: chunked, or to the connection's end (HTTP/1.0)
  bool keep_alive = true;
  bool http_1_0 = false;
};

std::string text_of(const reply_head& head);
// One chunk; the empty text is told by no bytes, since an empty chunk would end the body.
std::string chunk_of(std::string_view text);
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

// A whole response that refuses.
std::string refusal(const api_error& why, bool ollama, bool keep_alive);

}  // namespace troupe::http
