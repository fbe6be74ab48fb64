#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>
#include <system_error>

#include "kernels/gguf/checked.hpp"
#include "kernels/gguf/gguf_format.hpp"

namespace troupe::kernels {
namespace {

using gguf_format::value_type;

template <class T>
void append(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}

void append_text(std::string& out, std::string_view text) {
  append<std::uint64_t>(out, text.size());
  out += text;
}

// One value of the type, narrowed from the widened form; false where the type cannot hold that kind
// or value.
template <class To, class From>
bool append_narrow(std::string& out, From value) {
  const auto narrowed = checked::narrow<To>(value);
  if (narrowed) append<To>(out, *narrowed);
  return narrowed.has_value();
}

bool append_one(std::string& out, value_type type, std::uint64_t value) {
  switch (type) {
    case value_type::u8:
      return append_narrow<std::uint8_t>(out, value);
    case value_type::u16:
      return append_narrow<std::uint16_t>(out, value);
    case value_type::u32:
      return append_narrow<std::uint32_t>(out, value);
    case value_type::u64:
      return append(out, value), true;
    default:
      return false;
  }
}

bool append_one(std::string& out, value_type type, std::int64_t value) {
  switch (type) {
    case value_type::i8:
      return append_narrow<std::int8_t>(out, value);
    case value_type::i16:
      return append_narrow<std::int16_t>(out, value);
    case value_type::i32:
      return append_narrow<std::int32_t>(out, value);
    case value_type::i64:
      return append(out, value), true;
    default:
      return false;
  }
}

bool append_one(std::string& out, value_type type, double value) {
  if (type == value_type::f32) return append(out, static_cast<float>(value)), true;
  if (type == value_type::f64) return append(out, value), true;
  return false;
}

bool append_one(std::string& out, value_type type, bool value) {
  if (type != value_type::boolean) return false;
  return append<std::uint8_t>(out, value ? 1 : 0), true;
}

bool append_one(std::string& out, value_type type, std::string_view value) {
  if (type != value_type::text) return false;
  return append_text(out, value), true;
}

template <class T>
bool append_value(std::string& out, value_type type, const T& value) {
  append(out, static_cast<std::uint32_t>(type));
  return append_one(out, type, value);
}

template <class T>
bool append_value(std::string& out, value_type type, const std::vector<T>& values) {
  append(out, static_cast<std::uint32_t>(value_type::array));
  append(out, static_cast<std::uint32_t>(type));
  append<std::uint64_t>(out, values.size());
  for (const auto& value : values)
    if (!append_one(out, type, static_cast<T>(value))) return false;
  return true;
}

struct planned_tensor {
  std::string name;
  tensor_type type;
  std::vector<std::uint64_t> shape;
  std::uint64_t bytes = 0;
};

error disk_error(const std::filesystem::path& path, std::string_view action, int number) {
  const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  return {full                                                     ? error_code::resource_exhausted
          : number == EACCES || number == EPERM || number == EROFS ? error_code::permission_denied
          : number == ENOENT || number == ENOTDIR                  ? error_code::not_found
                                                                   : error_code::unavailable,
          path.string() + ": cannot " + std::string(action) + ": " +
              std::generic_category().message(number),
          full ? "free space on that disk" : ""};
}

}  // namespace

struct gguf_writer::parts {
  std::filesystem::path path;
  std::string temporary;  // the name in use while `file` is open
  std::FILE* file = nullptr;
  std::vector<std::pair<std::string, std::string>> keys;  // key, encoded type and value
  std::vector<planned_tensor> tensors;
  std::set<std::string, std::less<>> names;
  std::size_t written = 0;
  std::uint64_t alignment = gguf_format::alignment_default;
  std::optional<error> failure;

  ~parts() { abandon(); }

  void abandon() {
    if (!file) return;
    std::fclose(file);
    file = nullptr;
    ::unlink(temporary.c_str());
  }

  status fail(error e) {
    if (!failure) failure = std::move(e);
    abandon();
    return *failure;
  }

  void refuse(std::string message) {
    if (!failure)
      failure = error{error_code::invalid_argument, path.string() + ": " + std::move(message), {}};
  }

  void put(std::string key, std::string encoded) {
    if (key.empty() || key.size() > gguf_format::key_bytes_max)
      return refuse("a key of that length is not allowed");
    if (file)
      return refuse("key " + gguf_format::quoted(key) + " comes after the first tensor's data");
    for (auto& [known, value] : keys)
      if (known == key) return void(value = std::move(encoded));
    keys.emplace_back(std::move(key), std::move(encoded));
  }

  status write(std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size()) return {};
    return fail(disk_error(path, "write", errno));
  }

  status pad(std::uint64_t position) {
    const std::uint64_t end = checked::align_up(position, alignment).value_or(position);
    return write(std::string(end - position, '\0'));
  }

  status open_temporary() {
    constexpr int tries = 100;
    int fd = -1;
    for (int i = 0; i < tries && fd < 0 && (i == 0 || errno == EEXIST); ++i) {
      temporary = path.string() + ".part-" + std::to_string(::getpid()) + "-" + std::to_string(i);
      fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (fd < 0) return fail(disk_error(path, "create a file beside it", errno));
    file = ::fdopen(fd, "wb");
    if (file) return {};
    const int number = errno;
    ::close(fd);
    ::unlink(temporary.c_str());
    return fail(disk_error(path, "create a file beside it", number));
  }

  // Everything before the first tensor's data.
  status begin() {
    if (failure) return *failure;
    if (file) return {};
    if (const status opened = open_temporary(); !opened) return opened;
    std::string head;
    append(head, gguf_format::magic);
    append(head, gguf_format::version_written);
    append<std::uint64_t>(head, tensors.size());
    append<std::uint64_t>(head, keys.size());
    for (const auto& [key, encoded] : keys) {
      append_text(head, key);
      head += encoded;
    }
    std::uint64_t offset = 0;
    for (const planned_tensor& tensor : tensors) {
      append_text(head, tensor.name);
      append(head, static_cast<std::uint32_t>(tensor.shape.size()));
      for (const std::uint64_t length : tensor.shape) append(head, length);
      append(head, static_cast<std::uint32_t>(tensor.type));
      append(head, offset);
      const auto end = checked::add(offset, tensor.bytes);
      const auto next = end ? checked::align_up(*end, alignment) : std::nullopt;
      if (!next)
        return fail({error_code::invalid_argument, path.string() + ": tensors exceed 64 bits", {}});
      offset = *next;
    }
    if (const status put_head = write(head); !put_head) return put_head;
    return pad(head.size());
  }
};

gguf_writer::gguf_writer(std::filesystem::path path) : parts_(std::make_unique<parts>()) {
  parts_->path = std::move(path);
}
gguf_writer::~gguf_writer() = default;

void gguf_writer::set(std::string key, std::uint32_t value) {
  set_raw(key, std::uint64_t{value}, static_cast<std::uint32_t>(value_type::u32));
}
void gguf_writer::set(std::string key, float value) {
  set_raw(key, double{value}, static_cast<std::uint32_t>(value_type::f32));
}
void gguf_writer::set(std::string key, bool value) {
  set_raw(key, value, static_cast<std::uint32_t>(value_type::boolean));
}
void gguf_writer::set(std::string key, std::string value) {
  set_raw(key, std::string_view(value), static_cast<std::uint32_t>(value_type::text));
}
void gguf_writer::set(std::string key, std::vector<std::string> values) {
  set_raw(key, std::vector<std::string_view>(values.begin(), values.end()),
          static_cast<std::uint32_t>(value_type::text));
}
void gguf_writer::set(std::string key, std::vector<std::int32_t> values) {
  set_raw(key, std::vector<std::int64_t>(values.begin(), values.end()),
          static_cast<std::uint32_t>(value_type::i32));
}
void gguf_writer::set(std::string key, std::vector<float> values) {
  set_raw(key, std::vector<double>(values.begin(), values.end()),
          static_cast<std::uint32_t>(value_type::f32));
}

void gguf_writer::set_raw(std::string_view key, const metadata_value& value,
                          std::uint32_t gguf_type) {
  const gguf_format::value_type_row* row = gguf_format::find_value_type(gguf_type);
  std::string encoded;
  const bool held = row && std::visit(
                               [&](const auto& held_value) {
                                 return append_value(encoded, row->type, held_value);
                               },
                               value);
  if (!held)
    return parts_->refuse("key " + gguf_format::quoted(key) + " has a value that GGUF type " +
                          std::to_string(gguf_type) + " does not hold");
  if (key == "general.alignment") {
    const auto* alignment = std::get_if<std::uint64_t>(&value);
    if (!alignment || !std::has_single_bit(*alignment) || *alignment < gguf_format::alignment_min ||
        *alignment > gguf_format::alignment_max)
      return parts_->refuse("general.alignment must be a power of two from 8 to 2^20");
    parts_->alignment = *alignment;
  }
  parts_->put(std::string(key), std::move(encoded));
}

void gguf_writer::add_tensor(std::string name, tensor_type type, std::vector<std::uint64_t> shape) {
  const std::string what = "tensor " + gguf_format::quoted(name);
  const tensor_type_row& row = row_of(type);
  if (parts_->file) return parts_->refuse(what + " comes after the first tensor's data");
  if (name.empty() || name.size() > gguf_format::tensor_name_bytes_max)
    return parts_->refuse(what + " needs a name of 1 to 64 bytes");
  if (shape.empty() || shape.size() > gguf_format::dimensions_max || shape[0] % row.elements != 0)
    return parts_->refuse(what + " has a shape that " + std::string(row.name) + " does not take");
  checked::number elements = 1;
  for (const std::uint64_t length : shape)
    elements = elements && length != 0 ? checked::mul(*elements, length) : std::nullopt;
  const auto bytes = elements ? checked::mul(*elements / row.elements, row.bytes) : std::nullopt;
  if (!bytes) return parts_->refuse(what + " has a dimension of zero or a size past 64 bits");
  if (!parts_->names.insert(name).second) return parts_->refuse(what + " is added twice");
  parts_->tensors.push_back({std::move(name), type, std::move(shape), *bytes});
}

status gguf_writer::write_tensor(std::span<const std::byte> bytes) {
  if (const status begun = parts_->begin(); !begun) return begun;
  const std::string where = parts_->path.string();
  if (parts_->written == parts_->tensors.size())
    return parts_->fail(
        {error_code::invalid_argument, where + ": more tensor data than tensors", {}});
  const planned_tensor& tensor = parts_->tensors[parts_->written];
  if (tensor.bytes != bytes.size())
    return parts_->fail({error_code::invalid_argument,
                         where + ": tensor " + gguf_format::quoted(tensor.name) + " takes " +
                             std::to_string(tensor.bytes) + " bytes, " +
                             std::to_string(bytes.size()) + " were given",
                         {}});
  ++parts_->written;
  const status put = parts_->write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  return put ? parts_->pad(bytes.size()) : put;
}

status gguf_writer::finish() {
  if (const status begun = parts_->begin(); !begun) return begun;
  parts& p = *parts_;
  if (p.written != p.tensors.size())
    return p.fail({error_code::invalid_argument,
                   p.path.string() + ": tensor " + gguf_format::quoted(p.tensors[p.written].name) +
                       " was never written",
                   {}});
  if (std::fflush(p.file) != 0 || ::fsync(::fileno(p.file)) != 0)
    return p.fail(disk_error(p.path, "write", errno));
  if (std::rename(p.temporary.c_str(), p.path.c_str()) != 0)
    return p.fail(disk_error(p.path, "rename into place", errno));
  std::fclose(p.file);
  p.file = nullptr;
  p.failure = error{error_code::invalid_argument, p.path.string() + ": already finished", {}};
  return {};
}

}  // namespace troupe::kernels
