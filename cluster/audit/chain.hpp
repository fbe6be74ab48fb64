// The audit log's lines, and the chain that binds each to all before it. Pure.
//
// A line is one JSON object: sequence, time, node, who, what, outcome, about, previous, hash.
// `hash` is the SHA-256 of the line's bytes before `,"hash"`; `previous` is the hash of the line
// before, of a log's first line a random number (what: log_begins). A file that goes on where
// another one was full begins with a line log_continues, whose sequence and `previous` are the next
// ones.
//
// What the chain shows: any line that was changed, removed, inserted or moved. What it cannot show:
// lines cut off at the end, or a whole log written anew. Both are seen only against a hash that was
// noted elsewhere.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::audit {

inline constexpr std::string_view begins = "log_begins", continues = "log_continues";

struct entry {
  std::uint64_t sequence = 0;  // from 1 on
  std::string time;            // UTC: 2026-11-28T04:20:00.123Z
  std::string node;
  std::string who;      // "daemon", "signal", "key:NAME", "link:PEER", "http:ADDRESS"
  std::string what;     // "start", "drain", "api_keys", ...
  std::string outcome;  // "done", "refused", "failed"
  std::vector<std::pair<std::string, std::string>> about;
  std::string previous, hash;  // 64 hexadecimal digits
};

std::string sha256_text(std::string_view bytes);  // 64 hexadecimal digits

// The line, without its end; fills `hash`. Texts are cut to bound the line.
std::string line_of(entry& of);
// nullopt: no such line, or its hash does not hold.
std::optional<entry> read_line(std::string_view line);

// Where a chain stands.
struct chain_head {
  std::uint64_t sequence = 0;
  std::string hash;
};

enum class fault { none, changed, removed, inserted, reordered, torn, no_beginning, empty };

struct verdict {
  fault found = fault::none;
  std::size_t line = 0;  // the first that is wrong, counted from 1
  std::string message;   // what is wrong there, for people
  std::uint64_t entries = 0;
  chain_head head;             // of the last line that holds
  std::string continues_from;  // of a file that goes on: the hash of a line that is not in it
};

// A whole file. before: where the chain stood at its beginning; null where that is not known.
verdict verify(std::string_view file, const chain_head* before = nullptr);

// How much of a file's end is no whole line: a write that was cut off.
std::size_t torn_bytes(std::string_view file);

}  // namespace troupe::audit
