// One HTTP/1 request out of the bytes of a connection, within bounds.
//
// feed() takes what was read; bytes past the request's end are left to the caller (pipelining).
// Threading: none; pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/http/api_error.hpp"

namespace troupe::http {

struct reader_bounds {
  std::uint32_t header_bytes_max = 16u << 10;
  std::uint64_t body_bytes_max = 8u << 20;
};

struct http_request {
  std::string method;  // "GET"
  std::string path;    // without the query, as it was sent
  std::string query;
  std::string body;
  std::string host, origin, authorization, accept, last_event_id, trace_parent, if_none_match;
  bool keep_alive = true;
  bool http_1_0 = false;
};

class request_reader {
 public:
  enum class state { header, body, complete, refused };

  explicit request_reader(const reader_bounds& bounds);
  ~request_reader();
  request_reader(request_reader&&) noexcept;

  // Takes a part of `bytes`, perhaps all; gives how many. Nothing once complete or refused.
  std::size_t feed(std::string_view bytes);
  state now() const { return state_; }
  // Whether the client waits for "100 Continue" before it sends the body. True once.
  bool takes_continue();
  // With body: the request as far as it is known, without its body.
  http_request head() const;
  // With complete.
  http_request take();
  // With refused.
  const api_error& refusal() const { return refusal_; }

 private:
  void refuse(api_error why);
  struct parser;
  std::unique_ptr<parser> parser_;
  reader_bounds bounds_;
  state state_ = state::header;
  api_error refusal_;
  bool continue_wanted_ = false;
};

}  // namespace troupe::http
