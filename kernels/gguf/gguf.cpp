#include "kernels/gguf/gguf.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "kernels/gguf/checked.hpp"
#include "kernels/gguf/gguf_format.hpp"

namespace troupe::kernels {
namespace {

error system_error_at(const std::filesystem::path& path, std::string_view action, int number) {
  const error_code code = number == ENOENT || number == ENOTDIR ? error_code::not_found
                          : number == EACCES || number == EPERM ? error_code::permission_denied
                          : number == ENOMEM || number == EMFILE || number == ENFILE
                              ? error_code::resource_exhausted
                              : error_code::unavailable;
  return {code,
          path.string() + ": cannot " + std::string(action) + ": " +
              std::generic_category().message(number),
          {}};
}

error wrong_kind(std::string_view key, std::string_view wanted) {
  return {error_code::data_corrupt,
          "key " + gguf_format::quoted(key) + " is not " + std::string(wanted),
          {}};
}

error out_of_memory() {
  return {error_code::resource_exhausted, "not enough memory for the file's metadata", {}};
}

// The bytes of a whole file, mapped private and read-only.
class mapping {
 public:
  mapping() = default;
  mapping(const mapping&) = delete;
  mapping& operator=(const mapping&) = delete;
  ~mapping() {
    if (address_) ::munmap(address_, size_);
  }

  status map(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return system_error_at(path, "open", errno);
    const status mapped = map_descriptor(path, fd);
    ::close(fd);
    return mapped;
  }

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(address_), size_};
  }

 private:
  status map_descriptor(const std::filesystem::path& path, int fd) {
    struct stat about {};
    if (::fstat(fd, &about) != 0) return system_error_at(path, "examine", errno);
    if (!S_ISREG(about.st_mode))
      return error{error_code::invalid_argument, path.string() + ": not a regular file", {}};
    const auto size = checked::narrow<std::size_t>(about.st_size);
    if (!size || *size == 0)
      return error{error_code::data_corrupt, path.string() + ": the file is empty", {}};
    void* address = ::mmap(nullptr, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (address == MAP_FAILED) return system_error_at(path, "map", errno);
    address_ = address;
    size_ = *size;
    return {};
  }

  void* address_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace

struct gguf_file::parts {
  mapping mapped;
  std::span<const std::byte> bytes;
  gguf_format::contents contents;
};

std::uint64_t tensor_view::rows() const {
  if (shape.empty()) return 0;
  std::uint64_t product = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) product *= shape[i];
  return product;
}

gguf_file::gguf_file() : parts_(std::make_unique<parts>()) {}
gguf_file::~gguf_file() = default;

result<std::shared_ptr<const gguf_file>> gguf_file::open(const std::filesystem::path& path) try {
  std::shared_ptr<gguf_file> file(new gguf_file);
  if (const status mapped = file->parts_->mapped.map(path); !mapped) return mapped.failure();
  file->parts_->bytes = file->parts_->mapped.bytes();
  auto contents = gguf_format::parse_contents(file->parts_->bytes);
  if (!contents) {
    error e = contents.failure();
    e.message = path.string() + ": " + e.message;
    return e;
  }
  file->parts_->contents = std::move(*contents);
  return std::shared_ptr<const gguf_file>(std::move(file));
} catch (const std::bad_alloc&) {
  return out_of_memory();
}

result<std::shared_ptr<const gguf_file>> gguf_file::parse(std::span<const std::byte> bytes) try {
  std::shared_ptr<gguf_file> file(new gguf_file);
  file->parts_->bytes = bytes;
  auto contents = gguf_format::parse_contents(bytes);
  if (!contents) return contents.failure();
  file->parts_->contents = std::move(*contents);
  return std::shared_ptr<const gguf_file>(std::move(file));
} catch (const std::bad_alloc&) {
  return out_of_memory();
}

const std::map<std::string_view, metadata_value>& gguf_file::metadata() const {
  return parts_->contents.metadata;
}
const std::vector<tensor_view>& gguf_file::tensors() const {
  return parts_->contents.tensors;
}
std::uint64_t gguf_file::size_bytes() const {
  return parts_->bytes.size();
}
std::uint32_t gguf_file::version() const {
  return parts_->contents.version;
}

std::optional<std::uint32_t> gguf_file::metadata_type(std::string_view key) const {
  const auto found = parts_->contents.types.find(key);
  if (found == parts_->contents.types.end()) return std::nullopt;
  return found->second;
}

const tensor_view* gguf_file::find_tensor(std::string_view name) const {
  const auto found = parts_->contents.by_name.find(name);
  return found == parts_->contents.by_name.end() ? nullptr
                                                 : &parts_->contents.tensors[found->second];
}

result<std::optional<std::uint64_t>> gguf_file::unsigned_number(std::string_view key) const {
  const auto found = metadata().find(key);
  if (found == metadata().end()) return std::optional<std::uint64_t>();
  if (const auto* number = std::get_if<std::uint64_t>(&found->second))
    return std::optional(*number);
  const auto* number = std::get_if<std::int64_t>(&found->second);
  if (!number) return wrong_kind(key, "a whole number");
  const auto narrowed = checked::narrow<std::uint64_t>(*number);
  if (!narrowed)
    return error{error_code::data_corrupt,
                 "key " + gguf_format::quoted(key) + " is " + std::to_string(*number) +
                     "; it must not be negative",
                 {}};
  return std::optional(*narrowed);
}

result<std::optional<double>> gguf_file::number(std::string_view key) const {
  const auto found = metadata().find(key);
  if (found == metadata().end()) return std::optional<double>();
  if (const auto* real = std::get_if<double>(&found->second)) return std::optional(*real);
  if (const auto* whole = std::get_if<std::uint64_t>(&found->second))
    return std::optional(static_cast<double>(*whole));
  if (const auto* whole = std::get_if<std::int64_t>(&found->second))
    return std::optional(static_cast<double>(*whole));
  return wrong_kind(key, "a number");
}

result<std::optional<bool>> gguf_file::flag(std::string_view key) const {
  const auto found = metadata().find(key);
  if (found == metadata().end()) return std::optional<bool>();
  if (const auto* value = std::get_if<bool>(&found->second)) return std::optional(*value);
  return wrong_kind(key, "a bool");
}

result<std::optional<std::string_view>> gguf_file::text(std::string_view key) const {
  const auto found = metadata().find(key);
  if (found == metadata().end()) return std::optional<std::string_view>();
  if (const auto* value = std::get_if<std::string_view>(&found->second))
    return std::optional(*value);
  return wrong_kind(key, "a string");
}

}  // namespace troupe::kernels
