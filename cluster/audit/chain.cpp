#include "cluster/audit/chain.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace troupe::audit {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t text_bytes_max = 512, about_max = 16, hash_digits = 64;
constexpr std::string_view hash_mark = ",\"hash\":\"", line_tail = "\"}";
constexpr std::size_t tail_bytes = hash_mark.size() + hash_digits + line_tail.size();

std::string bounded(std::string_view text) {
  return std::string(text.substr(0, text_bytes_max));
}

bool is_hash(std::string_view text) {
  return text.size() == hash_digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

const std::string* text_in(const json& document, const char* name) {
  const auto found = document.find(name);
  return found == document.end() ? nullptr : found->get_ptr<const json::string_t*>();
}

// Why lines[at], which holds by itself, does not follow where the chain stands.
verdict break_at(const std::vector<entry>& lines, std::size_t at, const chain_head& before) {
  verdict out;
  const entry& here = lines[at];
  const std::uint64_t wanted = before.sequence + 1;
  const auto later = std::any_of(lines.begin() + static_cast<std::ptrdiff_t>(at), lines.end(),
                                 [&](const entry& e) { return e.sequence == wanted; });
  const auto earlier = std::any_of(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(at),
                                   [&](const entry& e) { return e.sequence == here.sequence; });
  const std::string shown = std::to_string(here.sequence);
  if (here.sequence == wanted) {
    const bool stranger = std::any_of(
        lines.begin() + static_cast<std::ptrdiff_t>(at) + 1, lines.end(),
        [&](const entry& e) { return e.sequence == wanted && e.previous == before.hash; });
    out.found = stranger ? fault::inserted : fault::changed;
    out.message = stranger ? "this line was inserted: it does not follow the one before it"
                           : "this line follows another line than the one that stands before it: "
                             "the one before was changed and its hash made anew, or replaced";
  } else if (earlier) {
    out.found = fault::inserted;
    out.message = "sequence " + shown + " was there already: the line was inserted again";
  } else if (later) {
    out.found = fault::reordered;
    out.message = "sequence " + shown + " stands where " + std::to_string(wanted) +
                  " belongs, which comes later: the lines were reordered";
  } else if (here.sequence > wanted) {
    out.found = fault::removed;
    out.message = "sequence " + shown + " follows " + std::to_string(before.sequence) + ": " +
                  std::to_string(here.sequence - wanted) + " lines before it were removed";
  } else {
    out.found = fault::inserted;
    out.message = "sequence " + shown + " does not belong here: the line was inserted";
  }
  return out;
}

bool follows(const entry& line, const chain_head& before) {
  return line.sequence == before.sequence + 1 && line.previous == before.hash;
}

}  // namespace

std::string sha256_text(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), hash.data());
  std::string out;
  for (const unsigned char byte : hash) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::string line_of(entry& of) {
  json about = json::object();
  for (std::size_t i = 0; i < std::min(about_max, of.about.size()); ++i)
    about[bounded(of.about[i].first)] = bounded(of.about[i].second);
  json document = {{"sequence", of.sequence},   {"time", bounded(of.time)},
                   {"node", bounded(of.node)},  {"who", bounded(of.who)},
                   {"what", bounded(of.what)},  {"outcome", bounded(of.outcome)},
                   {"about", std::move(about)}, {"previous", of.previous}};
  std::string body = document.dump(-1, ' ', true, json::error_handler_t::replace);
  body.pop_back();  // its closing brace comes after the hash
  of.hash = sha256_text(body);
  return body + std::string(hash_mark) + of.hash + std::string(line_tail);
}

std::optional<entry> read_line(std::string_view line) {
  if (line.size() < tail_bytes || !line.ends_with(line_tail)) return std::nullopt;
  const std::string_view body = line.substr(0, line.size() - tail_bytes);
  const std::string_view tail = line.substr(body.size());
  const std::string_view hash = tail.substr(hash_mark.size(), hash_digits);
  if (!tail.starts_with(hash_mark) || !is_hash(hash) || sha256_text(body) != hash)
    return std::nullopt;
  const json document = json::parse(std::string(body) + "}", nullptr, false);
  if (!document.is_object()) return std::nullopt;
  entry out;
  const auto sequence = document.find("sequence");
  const auto about = document.find("about");
  if (sequence == document.end() || !sequence->is_number_unsigned() || about == document.end() ||
      !about->is_object())
    return std::nullopt;
  out.sequence = sequence->get<std::uint64_t>();
  for (const auto& [name, to] :
       {std::pair("time", &out.time), std::pair("node", &out.node), std::pair("who", &out.who),
        std::pair("what", &out.what), std::pair("outcome", &out.outcome),
        std::pair("previous", &out.previous)}) {
    const std::string* text = text_in(document, name);
    if (!text) return std::nullopt;
    *to = *text;
  }
  for (const auto& [name, value] : about->items()) {
    const auto* text = value.get_ptr<const json::string_t*>();
    if (!text) return std::nullopt;
    out.about.emplace_back(name, *text);
  }
  if (!is_hash(out.previous)) return std::nullopt;
  out.hash = hash;
  return out;
}

std::size_t torn_bytes(std::string_view file) {
  const std::size_t end = file.rfind('\n');
  return end == std::string_view::npos ? file.size() : file.size() - end - 1;
}

verdict verify(std::string_view file, const chain_head* before) {
  verdict out;
  if (file.empty()) {
    out.found = fault::empty;
    out.message = "the file is empty: everything was removed, or nothing was written yet";
    if (before) out.head = *before;
    return out;
  }
  std::vector<entry> lines;
  std::size_t broken = 0;  // the first line that does not hold, counted from 1
  for (std::string_view rest = file; !rest.empty() && broken == 0;) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    const bool whole = line.size() < rest.size();
    auto read = whole ? read_line(line) : std::nullopt;
    if (!read)
      broken = lines.size() + 1;
    else
      lines.push_back(*std::move(read));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  const auto wrong = [&](verdict why, std::size_t line) {
    why.line = line;
    why.entries = out.entries;
    why.head = out.head;
    why.continues_from = out.continues_from;
    return why;
  };
  if (before) out.head = *before;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const entry& line = lines[i];
    const bool goes_on = line.what == continues, first = line.what == begins;
    if (i == 0 && !before) {
      // Where the log's first line, or a file's, is gone, nothing says what was before.
      if (first ? line.sequence != 1 : !goes_on)
        return wrong({fault::no_beginning,
                      0,
                      "the file does not begin with a log's first line (" + std::string(begins) +
                          ") or with that of a file that goes on: lines were removed before it",
                      0,
                      {},
                      {}},
                     1);
      if (goes_on) out.continues_from = line.previous;
    } else if (!follows(line, out.head)) {
      return wrong(break_at(lines, i, out.head), i + 1);
    }
    ++out.entries;
    out.head = {line.sequence, line.hash};
  }
  if (broken == 0) return out;
  const bool last =
      torn_bytes(file) > 0 &&
      static_cast<std::size_t>(std::count(file.begin(), file.end(), '\n')) + 1 == broken;
  if (last)
    return wrong({fault::torn,
                  0,
                  "the last line has no end: a write that was cut off, or lines were removed "
                  "behind it",
                  0,
                  {},
                  {}},
                 broken);
  return wrong({fault::changed, 0, "the line's hash does not hold: it was changed", 0, {}, {}},
               broken);
}

}  // namespace troupe::audit
