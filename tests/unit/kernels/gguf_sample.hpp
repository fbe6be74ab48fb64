// A small valid GGUF file and a folder that goes away with its test.
#pragma once

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/gguf/gguf.hpp"

namespace troupe::kernels::sample {

class temporary_folder {
 public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "troupe-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> raw((std::istreambuf_iterator<char>(in)), {});
  std::vector<std::byte> bytes(raw.size());
  if (!raw.empty()) std::memcpy(bytes.data(), raw.data(), raw.size());
  return bytes;
}

// One key of each kind and two f32 tensors of 8 x 1 and 8 x 2 elements; the last byte belongs to
// the second tensor.
inline std::vector<std::byte> small_file() {
  const temporary_folder folder;
  gguf_writer writer(folder / "small.gguf");
  writer.set("general.architecture", std::string("llama"));
  writer.set("general.alignment", std::uint32_t{32});
  writer.set("a.flag", true);
  writer.set("a.real", 0.5F);
  writer.set("a.words", std::vector<std::string>{"one", "", "three"});
  writer.set("a.whole", std::vector<std::int32_t>{-1, 2});
  writer.set("a.reals", std::vector<float>{1.5F, -2.0F});
  writer.add_tensor("first", tensor_type::f32, {8});
  writer.add_tensor("second", tensor_type::f32, {8, 2});
  std::vector<float> values(16);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const auto raw = std::as_bytes(std::span<const float>(values));
  if (!writer.write_tensor(raw.first(32)) || !writer.write_tensor(raw) || !writer.finish())
    return {};
  return read_bytes(folder / "small.gguf");
}

// The bytes of a file by hand, for files that the writer would refuse to make.
class raw_file {
 public:
  template <class T>
  raw_file& number(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    content_.append(bytes, sizeof(T));
    return *this;
  }
  raw_file& text(const std::string& value) {
    number<std::uint64_t>(value.size());
    content_ += value;
    return *this;
  }
  raw_file& head(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    content_ += "GGUF";
    return number(version).number(tensors).number(keys);
  }
  raw_file& tensor(const std::string& name, const std::vector<std::uint64_t>& shape,
                   std::uint32_t type, std::uint64_t offset) {
    text(name).number(static_cast<std::uint32_t>(shape.size()));
    for (const std::uint64_t length : shape) number(length);
    return number(type).number(offset);
  }
  raw_file& zeroes(std::size_t count) {
    content_.append(count, '\0');
    return *this;
  }
  std::span<const std::byte> bytes() const {
    return std::as_bytes(std::span<const char>(content_.data(), content_.size()));
  }

 private:
  std::string content_;
};

}  // namespace troupe::kernels::sample
