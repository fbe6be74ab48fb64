// The checks that stand between a file's bytes and everything that uses them.
#include <algorithm>
#include <cstring>

#include "kernels/gguf/checked.hpp"
#include "kernels/gguf/gguf_format.hpp"

namespace troupe::kernels::gguf_format {
namespace {

error corrupt(std::string message) {
  return {error_code::data_corrupt, std::move(message), {}};
}

std::string at(std::uint64_t offset) {
  return " at byte " + std::to_string(offset);
}

// Reads forward through the bytes. The first failure stays: later reads give zeroes and change
// nothing.
class cursor {
 public:
  explicit cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t left() const { return bytes_.size() - offset_; }
  bool ok() const { return !failure_; }
  const error& failure() const { return *failure_; }

  void fail(error e) {
    if (!failure_) failure_ = std::move(e);
  }

  template <class T>
  T number(const std::string& what) {
    T value{};
    if (!enough(sizeof(T), what)) return value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  std::string_view text(const std::string& what, std::uint64_t bytes_max) {
    const std::uint64_t start = offset_;
    const auto length = number<std::uint64_t>(what + "'s length");
    if (!ok()) return {};
    if (length > bytes_max)
      return fail(corrupt(what + at(start) + " claims " + std::to_string(length) +
                          " bytes; at most " + std::to_string(bytes_max) + " are allowed")),
             std::string_view{};
    if (!enough(length, what)) return {};
    const std::string_view view(reinterpret_cast<const char*>(bytes_.data()) + offset_, length);
    offset_ += length;
    return view;
  }

 private:
  bool enough(std::uint64_t need, const std::string& what) {
    if (failure_) return false;
    if (need <= left()) return true;
    fail({error_code::data_corrupt,
          "file ends too soon: " + what + at(offset_) + " needs " + std::to_string(need) +
              " bytes, " + std::to_string(left()) + " are left",
          "the file is truncated or damaged: fetch it again"});
    return false;
  }

  std::span<const std::byte> bytes_;
  std::uint64_t offset_ = 0;
  std::optional<error> failure_;
};

bool read_flag(cursor& in, const std::string& what) {
  const std::uint64_t start = in.offset();
  const auto value = in.number<std::uint8_t>(what);
  if (value > 1)
    in.fail(corrupt(what + at(start) + " is a bool of value " + std::to_string(value)));
  return value == 1;
}

std::uint64_t read_unsigned(cursor& in, value_type type, const std::string& what) {
  switch (type) {
    case value_type::u8:
      return in.number<std::uint8_t>(what);
    case value_type::u16:
      return in.number<std::uint16_t>(what);
    case value_type::u32:
      return in.number<std::uint32_t>(what);
    default:
      return in.number<std::uint64_t>(what);
  }
}

std::int64_t read_signed(cursor& in, value_type type, const std::string& what) {
  switch (type) {
    case value_type::i8:
      return in.number<std::int8_t>(what);
    case value_type::i16:
      return in.number<std::int16_t>(what);
    case value_type::i32:
      return in.number<std::int32_t>(what);
    default:
      return in.number<std::int64_t>(what);
  }
}

double read_real(cursor& in, value_type type, const std::string& what) {
  return type == value_type::f32 ? in.number<float>(what) : in.number<double>(what);
}

std::string_view read_text(cursor& in, value_type, const std::string& what) {
  return in.text(what, in.left());
}

bool read_bool(cursor& in, value_type, const std::string& what) {
  return read_flag(in, what);
}

template <class T>
metadata_value read_elements(cursor& in, value_type type, std::uint64_t count,
                             const std::string& what,
                             T (*read)(cursor&, value_type, const std::string&)) {
  std::vector<T> values;
  values.reserve(count);
  const std::string element = "an element of " + what;
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) values.push_back(read(in, type, element));
  return values;
}

// An array's element type and count, checked against what is left before anything is allocated for
// it.
metadata_value read_array(cursor& in, const std::string& what, std::uint32_t& type_number) {
  const std::uint64_t start = in.offset();
  type_number = in.number<std::uint32_t>(what + "'s element type");
  const auto count = in.number<std::uint64_t>(what + "'s count");
  if (!in.ok()) return {};
  const value_type_row* row = find_value_type(type_number);
  if (!row) {
    in.fail(
        corrupt(what + at(start) + " has elements of unknown type " + std::to_string(type_number)));
    return {};
  }
  if (row->type == value_type::array) {
    in.fail({error_code::unsupported, what + at(start) + " is an array of arrays",
             "no model that we serve has one"});
    return {};
  }
  if (count > array_elements_max || !checked::fits(count, row->bytes, in.left())) {
    in.fail(corrupt(what + at(start) + " claims " + std::to_string(count) + " elements of " +
                    std::string(row->name) + "; " + std::to_string(in.left()) +
                    " bytes are left and at most " + std::to_string(array_elements_max) +
                    " elements are allowed"));
    return {};
  }
  switch (row->type) {
    case value_type::u8:
    case value_type::u16:
    case value_type::u32:
    case value_type::u64:
      return read_elements<std::uint64_t>(in, row->type, count, what, read_unsigned);
    case value_type::i8:
    case value_type::i16:
    case value_type::i32:
    case value_type::i64:
      return read_elements<std::int64_t>(in, row->type, count, what, read_signed);
    case value_type::f32:
    case value_type::f64:
      return read_elements<double>(in, row->type, count, what, read_real);
    case value_type::boolean:
      return read_elements<bool>(in, row->type, count, what, read_bool);
    default:
      return read_elements<std::string_view>(in, row->type, count, what, read_text);
  }
}

metadata_value read_value(cursor& in, const std::string& what, std::uint32_t& type_number) {
  const std::uint64_t start = in.offset();
  type_number = in.number<std::uint32_t>(what + "'s type");
  if (!in.ok()) return {};
  const value_type_row* row = find_value_type(type_number);
  if (!row) {
    in.fail(corrupt(what + at(start) + " has unknown value type " + std::to_string(type_number)));
    return {};
  }
  switch (row->type) {
    case value_type::u8:
    case value_type::u16:
    case value_type::u32:
    case value_type::u64:
      return read_unsigned(in, row->type, what);
    case value_type::i8:
    case value_type::i16:
    case value_type::i32:
    case value_type::i64:
      return read_signed(in, row->type, what);
    case value_type::f32:
    case value_type::f64:
      return read_real(in, row->type, what);
    case value_type::boolean:
      return read_flag(in, what);
    case value_type::text:
      return read_text(in, row->type, what);
    case value_type::array:
      return read_array(in, what, type_number);
  }
  return {};
}

struct header {
  std::uint32_t version = 0;
  std::uint64_t tensor_count = 0;
  std::uint64_t key_count = 0;
};

constexpr std::uint64_t key_entry_bytes_min = 8 + 1 + 4 + 1;
constexpr std::uint64_t tensor_entry_bytes_min = 8 + 1 + 4 + 8 + 4 + 8;

header read_header(cursor& in) {
  header head;
  const auto found_magic = in.number<std::uint32_t>("the magic number");
  if (in.ok() && found_magic != magic)
    in.fail({error_code::data_corrupt, "not a GGUF file: it does not begin with \"GGUF\"",
             "give a .gguf model file"});
  head.version = in.number<std::uint32_t>("the version");
  if (in.ok() && head.version != 2 && head.version != 3)
    in.fail({error_code::unsupported,
             "GGUF version " + std::to_string(head.version) + at(4) + " is not read",
             (head.version & 0xffff) == 0 ? "the file is big-endian: convert it"
                                          : "versions 2 and 3 are read: convert the file"});
  head.tensor_count = in.number<std::uint64_t>("the tensor count");
  head.key_count = in.number<std::uint64_t>("the metadata count");
  if (!in.ok()) return head;
  if (head.key_count > keys_max || !checked::fits(head.key_count, key_entry_bytes_min, in.left()))
    in.fail(corrupt("the file claims " + std::to_string(head.key_count) + " metadata keys" +
                    at(16) + "; " + std::to_string(in.left()) + " bytes follow"));
  if (head.tensor_count > tensors_max ||
      !checked::fits(head.tensor_count, tensor_entry_bytes_min, in.left()))
    in.fail(corrupt("the file claims " + std::to_string(head.tensor_count) + " tensors" + at(8) +
                    "; " + std::to_string(in.left()) + " bytes follow"));
  return head;
}

void read_metadata(cursor& in, std::uint64_t count, contents& out) {
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    const std::uint64_t start = in.offset();
    const std::string_view key = in.text("metadata key " + std::to_string(i), key_bytes_max);
    if (!in.ok()) return;
    if (key.empty())
      return in.fail(corrupt("metadata key " + std::to_string(i) + at(start) + " is empty"));
    std::uint32_t type = 0;
    metadata_value value = read_value(in, "key " + quoted(key), type);
    if (!in.ok()) return;
    if (!out.metadata.emplace(key, std::move(value)).second)
      return in.fail(corrupt("key " + quoted(key) + at(start) + " stands twice in the file"));
    out.types.emplace(key, type);
  }
}

// A tensor's entry with the place that it claims, relative to the data section.
struct placed_tensor {
  tensor_view view;
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
};

error unknown_tensor_type(const std::string& what, std::uint32_t number) {
  std::string known;
  for (const tensor_type_row& row : tensor_type_table)
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  return {error_code::unsupported,
          what + " has type " + std::to_string(number) + " (" +
              std::string(ggml_type_name(number)) + ")",
          "these types are read: " + known + "; quantize the model to one of them"};
}

// The bytes that the shape takes; fails on zero dimensions, ragged rows and overflow.
std::uint64_t checked_size(cursor& in, const tensor_view& tensor, const std::string& what) {
  const tensor_type_row& row = row_of(tensor.type);
  checked::number elements = 1;
  for (const std::uint64_t length : tensor.shape) {
    if (length == 0) return in.fail(corrupt(what + " has a dimension of zero")), 0;
    elements = elements ? checked::mul(*elements, length) : std::nullopt;
  }
  if (tensor.shape[0] % row.elements != 0)
    return in.fail(corrupt(what + " has rows of " + std::to_string(tensor.shape[0]) +
                           " elements; " + std::string(row.name) + " needs a multiple of " +
                           std::to_string(row.elements))),
           0;
  const checked::number bytes =
      elements ? checked::mul(*elements / row.elements, row.bytes) : std::nullopt;
  if (!bytes) return in.fail(corrupt(what + " has a shape whose size does not fit in 64 bits")), 0;
  return *bytes;
}

placed_tensor read_tensor(cursor& in, std::uint64_t index) {
  placed_tensor placed;
  const std::uint64_t start = in.offset();
  placed.view.name = in.text("tensor name " + std::to_string(index), tensor_name_bytes_max);
  if (!in.ok()) return placed;
  const std::string what = "tensor " + quoted(placed.view.name);
  if (placed.view.name.empty())
    return in.fail(corrupt("tensor " + std::to_string(index) + at(start) + " has no name")), placed;
  const auto dimensions = in.number<std::uint32_t>(what + "'s dimension count");
  if (in.ok() && (dimensions < 1 || dimensions > dimensions_max))
    in.fail(corrupt(what + at(start) + " has " + std::to_string(dimensions) + " dimensions; 1 to " +
                    std::to_string(dimensions_max) + " are allowed"));
  if (!in.ok()) return placed;
  for (std::uint32_t d = 0; d < dimensions; ++d)
    placed.view.shape.push_back(in.number<std::uint64_t>(what + "'s shape"));
  const auto type = in.number<std::uint32_t>(what + "'s type");
  placed.begin = in.number<std::uint64_t>(what + "'s offset");
  if (!in.ok()) return placed;
  const tensor_type_row* row = find_tensor_type(type);
  if (!row) return in.fail(unknown_tensor_type(what, type)), placed;
  placed.view.type = row->type;
  placed.size = checked_size(in, placed.view, what);
  return placed;
}

std::uint64_t read_alignment(cursor& in, const contents& out) {
  const auto found = out.metadata.find("general.alignment");
  if (found == out.metadata.end()) return alignment_default;
  const auto* value = std::get_if<std::uint64_t>(&found->second);
  if (!value) {
    in.fail(corrupt("key 'general.alignment' is not an unsigned number"));
  } else if (!std::has_single_bit(*value) || *value < alignment_min || *value > alignment_max) {
    in.fail(corrupt("key 'general.alignment' is " + std::to_string(*value) +
                    "; a power of two from " + std::to_string(alignment_min) + " to " +
                    std::to_string(alignment_max) + " is allowed"));
  } else {
    return *value;
  }
  return alignment_default;
}

void check_overlaps(cursor& in, const std::vector<placed_tensor>& placed) {
  std::vector<const placed_tensor*> order;
  for (const placed_tensor& tensor : placed) order.push_back(&tensor);
  std::sort(order.begin(), order.end(),
            [](const placed_tensor* a, const placed_tensor* b) { return a->begin < b->begin; });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i]->begin < order[i - 1]->begin + order[i - 1]->size)
      return in.fail(corrupt("tensor " + quoted(order[i]->view.name) + " at data offset " +
                             std::to_string(order[i]->begin) + " overlaps tensor " +
                             quoted(order[i - 1]->view.name)));
}

// Gives every tensor its bytes once alignment, bounds and overlaps hold.
void place_tensors(cursor& in, std::span<const std::byte> bytes, std::vector<placed_tensor>& placed,
                   contents& out) {
  const std::uint64_t alignment = read_alignment(in, out);
  if (!in.ok() || placed.empty()) return;
  const checked::number data = checked::align_up(in.offset(), alignment);
  for (placed_tensor& tensor : placed) {
    const std::string what = "tensor " + quoted(tensor.view.name);
    if (tensor.begin % alignment != 0)
      return in.fail(corrupt(what + " at data offset " + std::to_string(tensor.begin) +
                             " is not aligned to " + std::to_string(alignment)));
    const checked::number begin = data ? checked::add(*data, tensor.begin) : std::nullopt;
    const checked::number end = begin ? checked::add(*begin, tensor.size) : std::nullopt;
    if (!end || *end > bytes.size())
      return in.fail({error_code::data_corrupt,
                      what + " takes " + std::to_string(tensor.size) + " bytes at data offset " +
                          std::to_string(tensor.begin) + ", past the file's end at byte " +
                          std::to_string(bytes.size()),
                      "the file is truncated or damaged: fetch it again"});
    tensor.view.bytes = bytes.subspan(*begin, tensor.size);
  }
  check_overlaps(in, placed);
  if (!in.ok()) return;
  for (placed_tensor& tensor : placed) {
    if (!out.by_name.emplace(tensor.view.name, out.tensors.size()).second)
      return in.fail(corrupt("tensor " + quoted(tensor.view.name) + " stands twice in the file"));
    out.tensors.push_back(std::move(tensor.view));
  }
}

}  // namespace

result<contents> parse_contents(std::span<const std::byte> bytes) {
  contents out;
  cursor in(bytes);
  const header head = read_header(in);
  out.version = head.version;
  if (in.ok()) read_metadata(in, head.key_count, out);
  std::vector<placed_tensor> placed;
  for (std::uint64_t i = 0; i < head.tensor_count && in.ok(); ++i)
    placed.push_back(read_tensor(in, i));
  if (in.ok()) place_tensors(in, bytes, placed, out);
  if (!in.ok()) return in.failure();
  return out;
}

}  // namespace troupe::kernels::gguf_format
