#include "cluster/http/console_page.hpp"

#include <openssl/sha.h>

#include <array>
#include <cstdint>

// The build gives the folder; the assembler puts the files into the program as they are.
asm(".pushsection .rodata\n"
    ".global troupe_console_page\n"
    ".global troupe_console_page_end\n"
    ".global troupe_console_policy\n"
    ".global troupe_console_policy_end\n"
    "troupe_console_page:\n"
    ".incbin \"" TROUPE_CONSOLE_PAGE
    "/console.html.gz\"\n"
    "troupe_console_page_end:\n"
    "troupe_console_policy:\n"
    ".incbin \"" TROUPE_CONSOLE_PAGE
    "/policy.txt\"\n"
    "troupe_console_policy_end:\n"
    ".popsection\n");

extern "C" {
extern const char troupe_console_page[], troupe_console_page_end[];
extern const char troupe_console_policy[], troupe_console_policy_end[];
}

namespace troupe::http {
namespace {

std::string tag_of(std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "\"";
  for (std::size_t i = 0; i < 16; ++i) {
    out += digits[digest[i] >> 4];
    out += digits[digest[i] & 15];
  }
  return out += '"';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// A list of tags, weak ones as well; "*" stands for any.
bool names(std::string_view list, std::string_view tag) {
  for (std::size_t at = 0; at < list.size();) {
    std::string_view one = list.substr(at, list.find(',', at) - at);
    at += one.size() + 1;
    one = trimmed(one);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == tag || one == "*") return true;
  }
  return false;
}

}  // namespace

const console_page& the_console_page() {
  static const console_page page = [] {
    console_page out;
    out.packed = {troupe_console_page,
                  static_cast<std::size_t>(troupe_console_page_end - troupe_console_page)};
    out.policy = {troupe_console_policy, troupe_console_policy_end};
    while (!out.policy.empty() && out.policy.back() == '\n') out.policy.pop_back();
    out.tag = tag_of(out.packed);
    return out;
  }();
  return page;
}

reply_head console_head(const console_page& page, std::string_view if_none_match) {
  reply_head head;
  head.content_type = "text/html; charset=utf-8";
  head.headers = {{"etag", page.tag},
                  {"cache-control", "no-cache"},  // kept, and asked for again each time
                  {"content-security-policy", page.policy},
                  {"x-content-type-options", "nosniff"},
                  {"x-frame-options", "DENY"},
                  {"referrer-policy", "no-referrer"},
                  {"cross-origin-opener-policy", "same-origin"},
                  {"cross-origin-resource-policy", "same-origin"}};
  if (names(if_none_match, page.tag))
    head.status = 304;
  else
    head.headers.emplace_back("content-encoding", "gzip");
  return head;
}

}  // namespace troupe::http
