// The web console's page: who may have it, what stands in its head, and when it is not sent again.
#include <doctest/doctest.h>

#include "cluster/http/console_page.hpp"
#include "cluster/http/routes.hpp"

using namespace troupe::http;

namespace {

std::string value_of(const reply_head& head, std::string_view name) {
  for (const auto& [key, value] : head.headers)
    if (key == name) return value;
  return {};
}

}  // namespace

TEST_CASE("the console's page is open to whoever reaches the door, by GET and HEAD only") {
  for (const char* method : {"GET", "HEAD"}) {
    const auto found = find_route(method, "/console");
    REQUIRE(std::holds_alternative<route>(found));
    CHECK(std::get<route>(found).kind == route_kind::console);
    CHECK(std::get<route>(found).needs.is_open());
  }
  const auto posted = find_route("POST", "/console");
  REQUIRE(std::holds_alternative<api_error>(posted));
  CHECK(std::get<api_error>(posted).status == 405);
  const auto below = find_route("GET", "/console/x");
  REQUIRE(std::holds_alternative<api_error>(below));
  CHECK(std::get<api_error>(below).status == 404);
}

TEST_CASE("the page is in the program, packed, and is given no right but to its own script") {
  const console_page& page = the_console_page();
  REQUIRE(page.packed.size() > 10'000);
  CHECK(page.packed.size() < 80'000);  // what a first look costs a slow line
  CHECK(page.packed.substr(0, 3) == "\x1f\x8b\x08");
  CHECK(page.policy.find("default-src 'none'") != std::string::npos);
  CHECK(page.policy.find("script-src 'sha256-") != std::string::npos);
  CHECK(page.policy.find("style-src 'sha256-") != std::string::npos);
  CHECK(page.policy.find("connect-src 'self'") != std::string::npos);
  CHECK(page.policy.find("frame-ancestors 'none'") != std::string::npos);
  CHECK(page.policy.find("unsafe") == std::string::npos);
  CHECK(page.policy.find("http") == std::string::npos);
  CHECK(page.policy.find('\n') == std::string::npos);
  CHECK(page.tag.size() == 34);
}

TEST_CASE("the page's head: packed, asked for again each time, kept out of frames") {
  const console_page& page = the_console_page();
  reply_head head = console_head(page, "");
  CHECK(head.status == 200);
  CHECK(std::string(head.content_type) == "text/html; charset=utf-8");
  CHECK(value_of(head, "content-encoding") == "gzip");
  CHECK(value_of(head, "etag") == page.tag);
  CHECK(value_of(head, "cache-control") == "no-cache");
  CHECK(value_of(head, "content-security-policy") == page.policy);
  CHECK(value_of(head, "x-content-type-options") == "nosniff");
  CHECK(value_of(head, "x-frame-options") == "DENY");
  CHECK(value_of(head, "referrer-policy") == "no-referrer");
}

TEST_CASE("who has this very page is told so, without it") {
  const console_page& page = the_console_page();
  for (const std::string& seen :
       {page.tag, "W/" + page.tag, "\"other\" , " + page.tag, std::string("*")}) {
    CAPTURE(seen);
    reply_head head = console_head(page, seen);
    CHECK(head.status == 304);
    CHECK(value_of(head, "content-encoding").empty());
    CHECK(value_of(head, "etag") == page.tag);
    head.length = 0;
    const std::string text = text_of(head);
    CHECK(text.starts_with("HTTP/1.1 304 Not Modified\r\n"));
    CHECK(text.find("content-length") == std::string::npos);
    CHECK(text.find("transfer-encoding") == std::string::npos);
    CHECK(text.find("keep-alive") != std::string::npos);
  }
  for (const std::string& seen :
       {std::string("\"other\""), page.tag.substr(1), std::string(",,"), std::string(" ")}) {
    CAPTURE(seen);
    CHECK(console_head(page, seen).status == 200);
  }
}
