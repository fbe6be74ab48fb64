// GGUF v3 files (and v2, which differs in nothing we read): a mapped, fully checked view, and a
// writer.
//
// Opening checks everything before it is used: magic, version, counts against the file's size,
// string lengths, types, duplicate keys and names, alignment, dimensions (1 to 4, none zero), each
// tensor's size by checked arithmetic, its bounds and that no two overlap. A count is believed only
// where that many smallest entries fit into what is left of the file, so memory stays within a
// small multiple of the metadata's own bytes. Arrays of arrays and tensor types that
// tensor_type.hpp does not list are `unsupported`; all else that does not hold is `data_corrupt`,
// with key or tensor, value and byte offset. Source: the GGUF specification (ggml).
//
// The mapping is private and read-only. Whoever replaces a model file writes a new one and renames
// it: a file that is shortened in place while it is mapped ends the process (SIGBUS), as with every
// mapping.
//
// Threading: a gguf_file is immutable after open() and may be shared. The spans and views point
// into the mapping and live as long as the gguf_file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/gguf/tensor_type.hpp"

namespace troupe::kernels {

// A metadata value. Integers are widened; arrays hold one kind.
using metadata_value =
    std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view,
                 std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>,
                 std::vector<bool>, std::vector<std::string_view>>;

struct tensor_view {
  std::string_view name;
  tensor_type type = tensor_type::f32;
  // GGUF order: shape[0] is the row length (fastest), shape[1] the number of rows.
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;

  std::uint64_t row_length() const { return shape.empty() ? 0 : shape[0]; }
  std::uint64_t rows() const;  // product of shape[1..]; 1 for a single row, 0 without a shape
};

class gguf_file {
 public:
  static result<std::shared_ptr<const gguf_file>> open(const std::filesystem::path& path);
  // Same checks on bytes in memory (fuzzing, tests); the bytes must outlive the file.
  static result<std::shared_ptr<const gguf_file>> parse(std::span<const std::byte> bytes);
  ~gguf_file();
  gguf_file(const gguf_file&) = delete;
  gguf_file& operator=(const gguf_file&) = delete;

  const std::map<std::string_view, metadata_value>& metadata() const;
  // The GGUF type number of a key's value; of an array, its elements' type. nullopt where the key
  // is absent.
  std::optional<std::uint32_t> metadata_type(std::string_view key) const;
  const std::vector<tensor_view>& tensors() const;  // file order
  const tensor_view* find_tensor(std::string_view name) const;
  std::uint64_t size_bytes() const;
  std::uint32_t version() const;

  // Typed look-ups; absent is nullopt, another type or an out-of-range number is an error naming
  // the key.
  result<std::optional<std::uint64_t>> unsigned_number(std::string_view key) const;
  result<std::optional<double>> number(std::string_view key) const;
  result<std::optional<bool>> flag(std::string_view key) const;
  result<std::optional<std::string_view>> text(std::string_view key) const;

 private:
  gguf_file();
  struct parts;
  std::unique_ptr<parts> parts_;
};

// Writes a GGUF v3 file: add metadata and tensor shapes, then tensor data in the order they were
// added. Written to a temporary name beside `path`, and synced and renamed when finish() succeeds;
// a writer that goes away before leaves nothing behind. A key that is set twice keeps its place and
// its last value. Errors of the setters (names and shapes that the reader would refuse) come out of
// the first write_tensor() or finish(). One thread at a time.
class gguf_writer {
 public:
  explicit gguf_writer(std::filesystem::path path);
  ~gguf_writer();
  void set(std::string key, std::uint32_t value);
  void set(std::string key, float value);
  void set(std::string key, bool value);
  void set(std::string key, std::string value);
  void set(std::string key, std::vector<std::string> values);
  void set(std::string key, std::vector<std::int32_t> values);
  void set(std::string key, std::vector<float> values);
  // Copies a key of another file; gguf_type is what metadata_type() says there.
  void set_raw(std::string_view key, const metadata_value& value, std::uint32_t gguf_type);
  void add_tensor(std::string name, tensor_type type, std::vector<std::uint64_t> shape);
  status write_tensor(std::span<const std::byte> bytes);  // the next tensor, whole
  status finish();

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

// SHA-256 of a file's content as 64 hexadecimal digits; the name of a model everywhere in the
// cluster.
result<std::string> file_digest(const std::filesystem::path& path);

}  // namespace troupe::kernels
