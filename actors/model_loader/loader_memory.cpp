#include "actors/model_loader/loader_memory.hpp"

#include <algorithm>
#include <charconv>

#include "actors/model_loader/model_facts.hpp"

namespace troupe {
namespace {

std::vector<std::string_view> split(std::string_view line, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = line.find(at);
    parts.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return parts;
    line.remove_prefix(end + 1);
  }
}

template <class Number>
bool read(std::string_view text, Number& number) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  return wrong == std::errc{} && end == text.data() + text.size();
}

bool fits_a_field(std::string_view text) {
  return text.find_first_of("\t\n") == std::string_view::npos;
}

}  // namespace

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > 128 || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

loader_memory loader_memory::parse(std::string_view text) {
  loader_memory memory;
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split(line, '\t');
    file_record file;
    if (fields[0] == "file" && fields.size() == 5 && read(fields[1], file.size) &&
        read(fields[2], file.modified_ns) && is_digest(fields[3])) {
      file.digest = fields[3];
      memory.files_[std::string{fields[4]}] = file;
    } else if (fields[0] == "canary" && fields.size() == 4 && is_digest(fields[1])) {
      std::vector<std::int32_t> ids;
      bool whole = true;
      for (const std::string_view field : split(fields[3], ','))
        whole = read(field, ids.emplace_back()) && whole;
      if (whole) memory.canaries_[{std::string{fields[1]}, std::string{fields[2]}}] = ids;
    } else if (fields[0] == "partial" && fields.size() == 3 && is_safe_name(fields[1]) &&
               is_digest(fields[2])) {
      memory.partials_[std::string{fields[1]}] = fields[2];
    }
  }
  return memory;
}

std::string loader_memory::text() const {
  std::string out = "troupe model loader\t1\n";
  for (const auto& [path, file] : files_)
    out += "file\t" + std::to_string(file.size) + '\t' + std::to_string(file.modified_ns) + '\t' +
           file.digest + '\t' + path + '\n';
  for (const auto& [key, ids] : canaries_) {
    out += "canary\t" + key.first + '\t' + key.second + '\t';
    for (std::size_t i = 0; i < ids.size(); ++i) out += (i ? "," : "") + std::to_string(ids[i]);
    out += '\n';
  }
  for (const auto& [name, digest] : partials_) out += "partial\t" + name + '\t' + digest + '\n';
  return out;
}

std::optional<std::string> loader_memory::digest_of(const std::string& path, std::uint64_t size,
                                                    std::int64_t modified_ns) const {
  const auto found = files_.find(path);
  if (found == files_.end() || found->second.size != size ||
      found->second.modified_ns != modified_ns)
    return std::nullopt;
  return found->second.digest;
}

void loader_memory::remember_digest(const std::string& path, std::uint64_t size,
                                    std::int64_t modified_ns, std::string digest) {
  if (fits_a_field(path)) files_[path] = {size, modified_ns, std::move(digest)};
}

const std::vector<std::int32_t>* loader_memory::canary(const std::string& digest,
                                                       const std::string& numerics_class) const {
  const auto found = canaries_.find({digest, numerics_class});
  return found == canaries_.end() ? nullptr : &found->second;
}

void loader_memory::remember_canary(const std::string& digest, const std::string& numerics_class,
                                    std::vector<std::int32_t> ids) {
  if (!ids.empty() && fits_a_field(numerics_class))
    canaries_[{digest, numerics_class}] = std::move(ids);
}

std::string loader_memory::partial(const std::string& name) const {
  const auto found = partials_.find(name);
  return found == partials_.end() ? std::string{} : found->second;
}

void loader_memory::remember_partial(const std::string& name, std::string digest) {
  partials_[name] = std::move(digest);
}

}  // namespace troupe
