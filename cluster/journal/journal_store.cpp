#include "cluster/journal/journal_store.hpp"

#include <charconv>
#include <cstdio>
#include <string_view>

namespace troupe::journal {
namespace {

constexpr std::string_view suffix = ".journal", unfinished = ".new", kept = "damaged";

struct segment_name {
  std::uint64_t number = 0, key = 0;
};

std::string text_of(const segment_name& name) {
  char text[64];
  std::snprintf(text, sizeof text, "%016llx-%016llx", static_cast<unsigned long long>(name.number),
                static_cast<unsigned long long>(name.key));
  return text + std::string(suffix);
}

std::optional<segment_name> name_of(std::string_view text) {
  segment_name out;
  const auto number = std::from_chars(text.data(), text.data() + text.size(), out.number, 16);
  if (number.ptr != text.data() + 16 || text.size() != 33 + suffix.size()) return std::nullopt;
  const auto key = std::from_chars(text.data() + 17, text.data() + text.size(), out.key, 16);
  if (key.ptr != text.data() + 33 || text_of(out) != text) return std::nullopt;
  return out;
}

}  // namespace

result<segment_content> journal_store::read() {
  const auto names = files_.names();
  if (!names) return names.failure();
  std::optional<segment_name> newest;
  std::string stranger;
  for (const std::string& text : *names) {
    const auto name = name_of(text);
    if (!name && text.ends_with(suffix)) stranger = text;
    if (name && (!newest || name->number > newest->number)) newest = name;
  }
  if (!newest && !stranger.empty())
    return error{error_code::data_corrupt, "the journal's file " + stranger + " has another name",
                 "give it back the name that it had, or remove it with the jobs that it holds"};
  if (!newest) return segment_content{};
  number_ = newest->number;
  keeps_old_ = true;
  const auto bytes = files_.content(text_of(*newest));
  if (!bytes) return bytes.failure();
  segment_content content = read_segment(*bytes, newest->key);
  keeps_old_ = !content.damaged.empty();
  return content;
}

std::string journal_store::encoded(const std::vector<proto::JournalRecord>& records,
                                   std::uint64_t begin) const {
  std::string out, one;
  for (const proto::JournalRecord& record : records) {
    record.SerializeToString(&one);
    append_frame(out, begin, key_, one);
  }
  return out;
}

status journal_store::failed(error why) {
  file_.reset();
  return why;
}

status journal_store::begin(const std::vector<proto::JournalRecord>& records) {
  const auto names = files_.names();
  if (!names) return failed(names.failure());
  file_.reset();
  key_ = make_key_();
  const std::string name = text_of({++number_, key_});
  const std::string draft = name + std::string(unfinished);
  auto made = files_.create(draft);
  if (!made) return failed(made.failure());
  const std::string bytes = encoded(records, 0);
  if (status done = (*made)->append(bytes); !done) return failed(done.failure());
  if (status done = (*made)->sync(); !done) return failed(done.failure());
  if (status done = files_.rename(draft, name); !done) return failed(done.failure());
  for (const std::string& old : *names) {
    if (keeps_old_ && name_of(old)) (void)files_.rename(old, std::string(kept)).ok();
    if (old.ends_with(unfinished) || name_of(old)) (void)files_.remove(old).ok();
  }
  keeps_old_ = false;
  file_ = std::move(*made);
  bytes_ = bytes_at_begin_ = bytes.size();
  dirty_ = false;
  return {};
}

status journal_store::append(const std::vector<proto::JournalRecord>& records) {
  if (!file_)
    return error{error_code::unavailable, "the journal has no file to write to", "begin a new one"};
  const std::string bytes = encoded(records, bytes_);
  if (status done = file_->append(bytes); !done) return failed(done.failure());
  bytes_ += bytes.size();
  dirty_ = true;
  return {};
}

status journal_store::sync() {
  if (!file_)
    return error{error_code::unavailable, "the journal has no file to write to", "begin a new one"};
  if (!dirty_) return {};
  if (status done = file_->sync(); !done) return failed(done.failure());
  dirty_ = false;
  return {};
}

}  // namespace troupe::journal
