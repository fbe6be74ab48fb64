// What a loader remembers across restarts: digests of files by path, size and modification time,
// canaries by digest and numerics class, and which digest a partly fetched file belongs to.
//
// Pure. The text form is one record a line, fields parted by tabs; lines that do not parse are left
// out, since all but the canaries can be found again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace troupe {

class loader_memory {
 public:
  static loader_memory parse(std::string_view text);
  std::string text() const;

  std::optional<std::string> digest_of(const std::string& path, std::uint64_t size,
                                       std::int64_t modified_ns) const;
  void remember_digest(const std::string& path, std::uint64_t size, std::int64_t modified_ns,
                       std::string digest);

  const std::vector<std::int32_t>* canary(const std::string& digest,
                                          const std::string& numerics_class) const;
  void remember_canary(const std::string& digest, const std::string& numerics_class,
                       std::vector<std::int32_t> ids);

  // The digest that <name>.partial is a beginning of; "" where that is not known.
  std::string partial(const std::string& name) const;
  void remember_partial(const std::string& name, std::string digest);
  void forget_partial(const std::string& name) { partials_.erase(name); }

 private:
  struct file_record {
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;
    std::string digest;
  };
  std::map<std::string, file_record> files_;
  std::map<std::pair<std::string, std::string>, std::vector<std::int32_t>> canaries_;
  std::map<std::string, std::string> partials_;
};

}  // namespace troupe
