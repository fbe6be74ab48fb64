#include "cluster/audit/audit_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

namespace troupe::audit {
namespace {

error cannot(const std::filesystem::path& what, const char* verb, int number = errno) {
  const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  return {
      full ? error_code::resource_exhausted : error_code::unavailable,
      std::string("the audit log cannot ") + verb + " " + what.string() + ": " +
          std::strerror(number),
      full ? "free space on the disk of node.state_dir" : "look after the disk of node.state_dir"};
}

result<std::string> content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  if (!file) return cannot(path, "read");
  return std::move(out).str();
}

std::string full_name(std::uint64_t sequence) {
  char text[48];
  std::snprintf(text, sizeof text, "audit-%012llu.log", static_cast<unsigned long long>(sequence));
  return text;
}

bool is_full_name(const std::string& name) {
  return name.size() == 22 && name.starts_with("audit-") && name.ends_with(".log") &&
         std::all_of(name.begin() + 6, name.begin() + 18,
                     [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view first_line(std::string_view file) {
  return file.substr(0, file.find('\n'));
}

std::string_view last_line(std::string_view file) {
  file.remove_suffix(std::min<std::size_t>(file.size(), torn_bytes(file) + 1));
  const std::size_t before = file.rfind('\n');
  return before == std::string_view::npos ? file : file.substr(before + 1);
}

}  // namespace

audit_file::~audit_file() {
  if (file_ >= 0) ::close(file_);
}

result<std::unique_ptr<audit_file>> audit_file::open(
    audit_place place, const std::function<std::string()>& make_random, const std::string& time) {
  std::unique_ptr<audit_file> out(new audit_file(std::move(place)));
  if (status read = out->read(make_random, time); !read) return read.failure();
  return out;
}

std::vector<std::filesystem::path> audit_file::full_files() const {
  std::vector<std::filesystem::path> out;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(place_.folder, failed), end; !failed && at != end;
       at.increment(failed))
    if (is_full_name(at->path().filename().string())) out.push_back(at->path());
  std::sort(out.begin(), out.end());
  return out;
}

std::string audit_file::line(const timed_event& of, chain_head& head) const {
  entry one{head.sequence + 1, of.time,       place_.node, of.what.who, of.what.what,
            of.what.outcome,   of.what.about, head.hash,   {}};
  std::string out = line_of(one) + "\n";
  head = {one.sequence, one.hash};
  return out;
}

status audit_file::open_for_append() {
  if (file_ >= 0) ::close(file_);
  file_ = ::open(current().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file_ < 0) return cannot(current(), "open");
  return {};
}

// What cannot be taken for this node's chain stays to be looked at.
status audit_file::set_aside(const verdict& why) {
  for (int number = 1; number <= 1000; ++number) {
    const auto to = place_.folder / ("audit-broken-" + std::to_string(number) + ".log");
    std::error_code failed;
    if (std::filesystem::exists(to, failed)) continue;
    std::filesystem::rename(current(), to, failed);
    if (failed) return cannot(to, "make", failed.value());
    mended_ = "line " + std::to_string(why.line) + ": " + why.message + "; kept as " +
              to.filename().string();
    return {};
  }
  return error{error_code::unavailable, "the audit log was found broken 1000 times",
               "look at the audit-broken files in " + place_.folder.string()};
}

status audit_file::read(const std::function<std::string()>& make_random, const std::string& time) {
  std::error_code ignored;
  std::string text;
  if (std::filesystem::exists(current(), ignored)) {
    auto content = content_of(current());
    if (!content) return content.failure();
    text = *std::move(content);
  }
  std::vector<timed_event> notes;
  const std::size_t torn = torn_bytes(text);
  text.resize(text.size() - torn);
  if (!text.empty()) {
    const verdict judged = verify(text);
    if (judged.found != fault::none) {
      if (status aside = set_aside(judged); !aside) return aside;
      notes.push_back({time, {"daemon", "chain_broken", "failed", {{"found", mended_}}}});
      text.clear();
    } else {
      head_ = judged.head;
      first_sequence_ = read_line(first_line(text))->sequence;
    }
  }
  if (torn > 0 && notes.empty()) {
    notes.push_back({time, {"daemon", "torn_line_cut", "done", {{"bytes", std::to_string(torn)}}}});
    mended_ = "cut " + std::to_string(torn) + " bytes of a line that was not whole";
  }
  if (status opened = open_for_append(); !opened) return opened;
  if (::ftruncate(file_, static_cast<off_t>(text.size())) != 0) return cannot(current(), "cut");
  bytes_ = text.size();
  std::string bytes;
  chain_head next = head_;
  if (text.empty()) {
    // A rotation that was cut off has left no current file: its chain goes on.
    const auto full = full_files();
    std::optional<entry> last;
    if (!full.empty() && notes.empty())
      if (auto content = content_of(full.back())) last = read_line(last_line(*content));
    next =
        last ? chain_head{last->sequence, last->hash} : chain_head{0, sha256_text(make_random())};
    first_sequence_ = next.sequence + 1;
    bytes = line({time, {"daemon", std::string(last ? continues : begins), "done", {}}}, next);
  }
  for (const timed_event& note : notes) bytes += line(note, next);
  if (status written = write(bytes); !written) return written;
  head_ = next;
  return {};
}

// All of it, synced; or nothing, as far as that can be told.
status audit_file::write(const std::string& bytes) {
  if (bytes.empty()) return {};
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(file_, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    done += static_cast<std::size_t>(count);
  }
  if (done == bytes.size() && ::fdatasync(file_) == 0) {
    bytes_ += bytes.size();
    return {};
  }
  error why = cannot(current(), "write");
  if (::ftruncate(file_, static_cast<off_t>(bytes_)) != 0)
    why.message += "; and what was written of it cannot be cut off";
  return why;
}

status audit_file::rotate(const std::string& time) {
  const auto full = place_.folder / full_name(first_sequence_);
  std::error_code failed;
  std::filesystem::rename(current(), full, failed);
  if (failed) return cannot(full, "make", failed.value());
  if (status opened = open_for_append(); !opened) return opened;
  bytes_ = 0;
  first_sequence_ = head_.sequence + 1;
  timed_event first{time, {"daemon", std::string(continues), "done", {}}};
  auto old = full_files();
  if (old.size() > place_.files_max) {
    first.what.about.emplace_back("removed", old.front().filename().string());
    std::filesystem::remove(old.front(), failed);
  }
  chain_head next = head_;
  const std::string bytes = line(first, next);
  if (status written = write(bytes); !written) return written;
  head_ = next;
  return {};
}

status audit_file::append(std::span<const timed_event> events) {
  if (events.empty()) return {};
  // Empty: a rotation failed after its first half; the chain's next line begins the file.
  if (bytes_ == 0 || bytes_ >= place_.file_bytes_max) {
    if (bytes_ == 0) {
      chain_head next = head_;
      const std::string first =
          line({events.front().time, {"daemon", std::string(continues), "done", {}}}, next);
      if (status written = write(first); !written) return written;
      head_ = next;
    } else if (status turned = rotate(events.front().time); !turned) {
      return turned;
    }
  }
  chain_head next = head_;
  std::string bytes;
  for (const timed_event& one : events) bytes += line(one, next);
  if (status written = write(bytes); !written) return written;
  head_ = next;
  return {};
}

}  // namespace troupe::audit
