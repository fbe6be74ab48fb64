// The web console's page, built into the program: what is sent for GET /console.
//
// The page is made by console/build.mjs and committed as console/page/. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "cluster/http/http_reply.hpp"

namespace troupe::http {

struct console_page {
  std::string_view packed;  // HTML, gzip
  std::string policy;  // Content-Security-Policy: its own script and style, and this node's data
  std::string tag;     // ETag, quoted: the page's SHA-256
};
const console_page& the_console_page();

// The reply's head, without connection and HTTP version: 200 with the page's headers, or 304 where
// the client has this page already. if_none_match: the header's value, empty where absent.
reply_head console_head(const console_page& page, std::string_view if_none_match);

}  // namespace troupe::http
