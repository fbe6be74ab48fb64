#include <utf8proc.h>

#include <algorithm>
#include <cstdio>

#include "kernels/gguf/gguf_format.hpp"
#include "kernels/model_file/model_file.hpp"

namespace troupe::kernels {
namespace {

constexpr std::size_t text_bytes_max = 120;
constexpr std::size_t elements_max = 6;

void append_escaped(std::string& out, unsigned char byte) {
  constexpr char digits[] = "0123456789abcdef";
  out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
}

// Valid UTF-8 that does nothing to a terminal: control characters and broken bytes are escaped.
std::string shown(std::string_view text) {
  std::string out;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  std::size_t at = 0;
  while (at < text.size() && out.size() < text_bytes_max) {
    utf8proc_int32_t point = 0;
    const auto left = static_cast<utf8proc_ssize_t>(std::min<std::size_t>(text.size() - at, 4));
    const utf8proc_ssize_t length = utf8proc_iterate(bytes + at, left, &point);
    if (length <= 0) {
      append_escaped(out, bytes[at++]);
    } else if (point == '\n') {
      out += "\\n";
      ++at;
    } else if (point < 0x20 || (point >= 0x7f && point < 0xa0)) {
      for (utf8proc_ssize_t i = 0; i < length; ++i) append_escaped(out, bytes[at++]);
    } else {
      out.append(text.substr(at, static_cast<std::size_t>(length)));
      at += static_cast<std::size_t>(length);
    }
  }
  return at < text.size() ? out + "..." : out;
}

std::string one(std::uint64_t value) {
  return std::to_string(value);
}
std::string one(std::int64_t value) {
  return std::to_string(value);
}
std::string one(bool value) {
  return value ? "true" : "false";
}
std::string one(std::string_view value) {
  return shown(value);
}
std::string one(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.9g", value);
  return buffer;
}

template <class T>
std::string one(const std::vector<T>& values) {
  std::string out = "[";
  for (std::size_t i = 0; i < values.size() && i < elements_max; ++i)
    out += (i == 0 ? "" : ", ") + one(static_cast<T>(values[i]));
  return out + (values.size() > elements_max ? ", ...]" : "]");
}

template <class T>
std::string count_suffix(const T&) {
  return {};
}
template <class T>
std::string count_suffix(const std::vector<T>& values) {
  return "[" + std::to_string(values.size()) + "]";
}

described_key describe_key(const gguf_file& file, std::string_view key,
                           const metadata_value& value) {
  described_key out;
  out.key = shown(key);
  const auto type = file.metadata_type(key);
  const auto* row = type ? gguf_format::find_value_type(*type) : nullptr;
  out.type = (row ? std::string(row->name) : std::string("unknown")) +
             std::visit([](const auto& held) { return count_suffix(held); }, value);
  out.value = std::visit([](const auto& held) { return one(held); }, value);
  return out;
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string out;
  for (const std::uint64_t length : shape)
    out += (out.empty() ? "" : " x ") + std::to_string(length);
  return out;
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

}  // namespace

model_description describe_model(const gguf_file& file) {
  model_description out;
  out.gguf_version = file.version();
  out.file_bytes = file.size_bytes();
  for (const auto& [key, value] : file.metadata())
    out.metadata.push_back(describe_key(file, key, value));
  for (const tensor_view& tensor : file.tensors()) {
    out.tensors.push_back({shown(tensor.name), tensor.type, tensor.shape, tensor.bytes.size()});
    out.parameters += tensor.row_length() * tensor.rows();
    out.tensor_bytes += tensor.bytes.size();
  }
  for (const tensor_type_row& row : tensor_type_table) {
    described_type total{row.type, 0, 0};
    for (const described_tensor& tensor : out.tensors) {
      if (tensor.type != row.type) continue;
      ++total.tensors;
      total.bytes += tensor.bytes;
    }
    if (total.tensors != 0) out.types.push_back(total);
  }
  return out;
}

std::vector<std::string> model_description::lines() const {
  std::vector<std::string> out;
  out.push_back("GGUF version " + std::to_string(gguf_version) + ", " + std::to_string(file_bytes) +
                " bytes");
  if (!digest.empty()) out.push_back("sha256 " + digest);
  std::size_t width = 0;
  for (const described_key& key : metadata) width = std::max(width, key.key.size());
  out.push_back("metadata: " + std::to_string(metadata.size()) + " keys");
  for (const described_key& key : metadata)
    out.push_back("  " + padded(key.key, width) + "  " + padded(key.type, 14) + "  " + key.value);
  width = 0;
  for (const described_tensor& tensor : tensors) width = std::max(width, tensor.name.size());
  out.push_back("tensors: " + std::to_string(tensors.size()));
  for (const described_tensor& tensor : tensors)
    out.push_back("  " + padded(tensor.name, width) + "  " +
                  padded(std::string(row_of(tensor.type).name), 5) + "  " +
                  padded(shape_text(tensor.shape), 16) + "  " + std::to_string(tensor.bytes) +
                  " bytes");
  for (const described_type& type : types)
    out.push_back("total " + std::string(row_of(type.type).name) + ": " +
                  std::to_string(type.tensors) + " tensors, " + std::to_string(type.bytes) +
                  " bytes");
  out.push_back("total: " + std::to_string(parameters) + " parameters, " +
                std::to_string(tensor_bytes) + " bytes of tensors");
  return out;
}

}  // namespace troupe::kernels
