#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>

#include "kernels/gguf/row_codec.hpp"
#include "kernels/model_file/model_file.hpp"
#include "kernels/model_file/parallel_ranges.hpp"

namespace troupe::kernels {
namespace {

// file_type: the number that the format gives to the whole file. more: the type of the tensors that
// matter more.
struct recipe {
  tensor_type type;
  std::uint32_t file_type;
  tensor_type output;
  tensor_type more;
};

constexpr recipe recipes[] = {
    {tensor_type::q8_0, 7, tensor_type::q8_0, tensor_type::q8_0},
    {tensor_type::q4_0, 2, tensor_type::q6_k, tensor_type::q4_0},
    {tensor_type::q4_k, 15, tensor_type::q6_k, tensor_type::q6_k},
    {tensor_type::q5_k, 17, tensor_type::q6_k, tensor_type::q6_k},
    {tensor_type::q6_k, 18, tensor_type::q6_k, tensor_type::q6_k},
};

// The first and last eighth of the layers and every third between them.
bool matters_more(std::uint64_t layer, std::uint64_t layers) {
  const std::uint64_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

// "blk.<layer>.<rest>" as its layer; nullopt for other names.
std::optional<std::uint64_t> layer_of(std::string_view name) {
  if (!name.starts_with("blk.")) return std::nullopt;
  std::uint64_t layer = 0;
  std::size_t at = 4;
  for (; at < name.size() && at < 12 && name[at] >= '0' && name[at] <= '9'; ++at)
    layer = layer * 10 + static_cast<std::uint64_t>(name[at] - '0');
  if (at == 4 || at >= name.size() || name[at] != '.') return std::nullopt;
  return layer;
}

class type_chooser {
 public:
  type_chooser(const gguf_file& file, const recipe& chosen) : recipe_(chosen) {
    tied_ = file.find_tensor("output.weight") == nullptr;
    for (const tensor_view& tensor : file.tensors())
      if (const auto layer = layer_of(tensor.name)) layers_ = std::max(layers_, *layer + 1);
  }

  tensor_type wanted(const tensor_view& tensor) const {
    const std::string_view name = tensor.name;
    if (tensor.shape.size() < 2) return tensor_type::f32;
    if (name == "output.weight" || (tied_ && name == "token_embd.weight")) return recipe_.output;
    const auto layer = layer_of(name);
    const bool sensitive = name.ends_with(".attn_v.weight") || name.ends_with(".ffn_down.weight");
    if (layer && sensitive && matters_more(*layer, layers_)) return recipe_.more;
    return recipe_.type;
  }

 private:
  recipe recipe_;
  bool tied_ = false;
  std::uint64_t layers_ = 0;
};

tensor_type that_fits(tensor_type wanted, std::uint64_t row_length) {
  for (const tensor_type type : {wanted, tensor_type::q8_0})
    if (row_length % row_of(type).elements == 0) return type;
  return tensor_type::f16;
}

bool may_be_source(const tensor_view& tensor) {
  switch (tensor.type) {
    case tensor_type::f32:
    case tensor_type::f16:
    case tensor_type::bf16:
    case tensor_type::q8_0:
      return true;
    default:
      return false;
  }
}

struct planned_tensor {
  const tensor_view* from = nullptr;
  tensor_type type = tensor_type::f32;
};

std::uint64_t bytes_of(std::uint64_t elements, tensor_type type) {
  return elements / row_of(type).elements * row_of(type).bytes;
}

// The lowest row that failed, whatever thread saw it first.
struct first_failure {
  std::mutex lock;
  std::uint64_t row = ~std::uint64_t{0};
  std::optional<error> what;

  void note(std::uint64_t at, error e) {
    const std::lock_guard guard(lock);
    if (at >= row) return;
    row = at;
    what = std::move(e);
  }
};

status encode_tensor(const planned_tensor& planned, int threads, std::vector<std::byte>& out) {
  const tensor_view& from = *planned.from;
  const std::uint64_t length = from.row_length();
  const std::uint64_t bytes_in = bytes_of(length, from.type);
  const std::uint64_t bytes_out = bytes_of(length, planned.type);
  out.resize(from.rows() * bytes_out);
  std::vector<std::vector<float>> buffers(static_cast<std::size_t>(threads),
                                          std::vector<float>(length));
  std::atomic<std::size_t> next_buffer = 0;
  first_failure failure;
  for_ranges(from.rows(), threads, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<float>& values = buffers[next_buffer++];
    for (std::uint64_t row = begin; row < end; ++row) {
      decode_row(from.type, from.bytes.subspan(row * bytes_in, bytes_in), values);
      status encoded =
          encode_row(planned.type, values, std::span(out).subspan(row * bytes_out, bytes_out));
      if (!encoded) return failure.note(row, encoded.failure());
    }
  });
  if (!failure.what) return {};
  error e = *failure.what;
  e.message = "tensor '" + std::string(from.name) + "', row " + std::to_string(failure.row) + ": " +
              e.message;
  return e;
}

result<const recipe*> check(tensor_type type, int threads) {
  if (threads < 1 || threads > 256)
    return error{error_code::invalid_argument, "threads is " + std::to_string(threads),
                 "1 to 256 are allowed"};
  for (const recipe& row : recipes)
    if (row.type == type) return &row;
  return error{error_code::invalid_argument,
               "a model cannot be quantized to " + std::string(row_of(type).name),
               "types: q8_0, q4_0, q4_k, q5_k, q6_k"};
}

void copy_metadata(const gguf_file& file, const recipe& chosen, gguf_writer& writer) {
  for (const auto& [key, value] : file.metadata())
    writer.set_raw(key, value, *file.metadata_type(key));
  writer.set("general.file_type", chosen.file_type);
  writer.set("general.quantization_version", std::uint32_t{2});
}

result<std::vector<planned_tensor>> plan_tensors(const gguf_file& file, const recipe& chosen,
                                                 gguf_writer& writer, quantize_report& report) {
  const type_chooser chooser(file, chosen);
  std::vector<planned_tensor> plan;
  for (const tensor_view& tensor : file.tensors()) {
    const tensor_type wanted = chooser.wanted(tensor);
    if (!may_be_source(tensor))
      return error{error_code::invalid_argument,
                   "tensor '" + std::string(tensor.name) + "' is " +
                       std::string(row_of(tensor.type).name) + " already",
                   "quantize from the f32, f16, bf16 or q8_0 file of the model"};
    const tensor_type used = that_fits(wanted, tensor.row_length());
    if (used != wanted)
      report.fallbacks.push_back({std::string(tensor.name), tensor.row_length(), wanted, used});
    writer.add_tensor(std::string(tensor.name), used, tensor.shape);
    report.bytes_before += tensor.bytes.size();
    report.bytes_after += bytes_of(tensor.row_length(), used) * tensor.rows();
    plan.push_back({&tensor, used});
  }
  report.tensors = plan.size();
  return plan;
}

}  // namespace

result<quantize_report> quantize_model(const std::filesystem::path& from,
                                       const std::filesystem::path& to, tensor_type type,
                                       int threads) try {
  const auto chosen = check(type, threads);
  if (!chosen) return chosen.failure();
  const auto file = gguf_file::open(from);
  if (!file) return file.failure();
  gguf_writer writer(to);
  quantize_report report;
  copy_metadata(**file, **chosen, writer);
  const auto plan = plan_tensors(**file, **chosen, writer, report);
  if (!plan) {
    error e = plan.failure();
    e.message = from.string() + ": " + e.message;
    return e;
  }
  std::vector<std::byte> bytes;
  for (const planned_tensor& planned : *plan) {
    status done;
    if (planned.type == planned.from->type) {
      done = writer.write_tensor(planned.from->bytes);
    } else {
      done = encode_tensor(planned, threads, bytes);
      if (done) done = writer.write_tensor(bytes);
    }
    if (!done) return done.failure();
  }
  if (const status finished = writer.finish(); !finished) return finished.failure();
  return report;
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "not enough memory to quantize " + from.string(),
               "the largest tensor must fit into memory in its new type"};
}

}  // namespace troupe::kernels
