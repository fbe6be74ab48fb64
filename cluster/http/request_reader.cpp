#include "cluster/http/request_reader.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace troupe::http {
namespace {

namespace beast_http = boost::beast::http;

std::string text_of(boost::beast::string_view view) {
  return {view.data(), view.size()};
}

// Two of a kind are told as one, which then is no name and no key: which of them counts is what
// front ends disagree about.
template <class Message>
std::string all_of(const Message& message, beast_http::field name) {
  std::string out;
  const auto [from, to] = message.equal_range(name);
  for (auto at = from; at != to; ++at) out += (at == from ? "" : ", ") + text_of(at->value());
  return out;
}

// Without the body.
http_request request_of(const beast_http::request<beast_http::string_body>& message) {
  http_request out;
  out.method = text_of(message.method_string());
  const std::string target = text_of(message.target());
  const std::size_t mark = target.find('?');
  out.path = target.substr(0, mark);
  if (mark != std::string::npos) out.query = target.substr(mark + 1);
  out.host = all_of(message, beast_http::field::host);
  out.origin = all_of(message, beast_http::field::origin);
  out.authorization = all_of(message, beast_http::field::authorization);
  out.accept = text_of(message[beast_http::field::accept]);
  out.last_event_id = text_of(message["Last-Event-ID"]);
  out.trace_parent = text_of(message["traceparent"]);
  out.if_none_match = all_of(message, beast_http::field::if_none_match);
  out.keep_alive = message.keep_alive();
  out.http_1_0 = message.version() == 10;
  return out;
}

api_error refusal_of(const boost::beast::error_code& failed, const reader_bounds& bounds) {
  if (failed == beast_http::error::header_limit)
    return wrong_request(431, "the request's head is longer than " +
                                  std::to_string(bounds.header_bytes_max) + " bytes");
  if (failed == beast_http::error::body_limit)
    return wrong_request(413, "the body is longer than " + std::to_string(bounds.body_bytes_max) +
                                  " bytes (http.body_bytes_max)");
  return wrong_request(400, "this is not an HTTP/1.1 request: " + failed.message());
}

}  // namespace

struct request_reader::parser {
  beast_http::request_parser<beast_http::string_body> of;
};

request_reader::request_reader(const reader_bounds& bounds)
    : parser_(std::make_unique<parser>()), bounds_(bounds) {
  parser_->of.eager(true);
  parser_->of.header_limit(bounds.header_bytes_max);
  parser_->of.body_limit(bounds.body_bytes_max);
}

request_reader::~request_reader() = default;
request_reader::request_reader(request_reader&&) noexcept = default;

void request_reader::refuse(api_error why) {
  state_ = state::refused;
  refusal_ = std::move(why);
}

std::size_t request_reader::feed(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ != state::complete && state_ != state::refused) {
    boost::beast::error_code failed;
    const auto rest = bytes.substr(taken);
    const std::size_t step = parser_->of.put(boost::asio::buffer(rest.data(), rest.size()), failed);
    taken += step;
    if (failed == beast_http::error::need_more) failed = {};
    if (failed) {
      refuse(refusal_of(failed, bounds_));
      break;
    }
    if (state_ == state::header && parser_->of.is_header_done()) {
      state_ = state::body;
      const auto expected = parser_->of.get()[beast_http::field::expect];
      continue_wanted_ = boost::beast::iequals(expected, "100-continue");
    }
    if (parser_->of.is_done()) state_ = state::complete;
    if (step == 0) break;
  }
  return taken;
}

bool request_reader::takes_continue() {
  return state_ == state::body && std::exchange(continue_wanted_, false);
}

http_request request_reader::head() const {
  return request_of(parser_->of.get());
}

http_request request_reader::take() {
  auto message = parser_->of.release();
  http_request out = request_of(message);
  out.body = std::move(message.body());
  return out;
}

}  // namespace troupe::http
