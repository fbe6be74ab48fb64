#include "kernels/backend/cuda/cuda_weights_cuda.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/gguf/row_codec.hpp"

namespace troupe::kernels::cuda {
namespace {

// Rows are split into planes in one half of the staging memory while the other is copied.
constexpr std::uint64_t staging_bytes = 16 << 20;

bool has_output(const model& source, layer_range layers) {
  return layers.end == source.shape.layers;
}
// One and the same matrix where both are here.
bool is_tied(const model& source, layer_range layers) {
  return source.output == source.embedding && layers.first == 0;
}

row_range all_rows(const tensor_view& tensor) {
  return {0, tensor.rows()};
}

template <class Visit>
void for_each_matrix(const model& source, layer_range layers, shard part, Visit visit) {
  if (layers.first == 0) visit(*source.embedding, all_rows(*source.embedding));
  if (has_output(source, layers) && !is_tied(source, layers))
    visit(*source.output, part.of(source.output->rows()));
  for (std::uint32_t i = layers.first; i < layers.end; ++i) {
    const layer_tensors& t = source.layers[i];
    for (const tensor_view* tensor :
         {t.query, t.key, t.value, t.attention_output, t.gate, t.up, t.down})
      visit(*tensor, part.of(tensor->rows()));
  }
}

device_matrix rows_of(const device_matrix& whole, row_range rows) {
  if (whole.blocks == nullptr) return {};  // its upload was refused
  const weight_planes planes = weight_planes_of(whole.type, whole.n, whole.k);
  device_matrix some = whole;
  some.n = rows.count;
  some.blocks += rows.first * planes.row_bytes;
  if (planes.row_scales > 0) some.scales += rows.first * planes.row_scales;
  return some;
}

}  // namespace

std::uint64_t cuda_weight_bytes(const model& source, layer_range layers, shard part) {
  const std::uint64_t norms =
      2 * (layers.end - layers.first) + (has_output(source, layers) ? 1 : 0);
  std::uint64_t bytes = source.shape.embedding * sizeof(float) * norms;
  for_each_matrix(source, layers, part, [&bytes](const tensor_view& tensor, row_range rows) {
    bytes += weight_planes_of(tensor.type, rows.count, tensor.row_length()).bytes;
  });
  return bytes;
}

class weight_uploads {
 public:
  weight_uploads(cuda_weights& into, device& on, const stream& copies, const std::string& owner)
      : into_(into), on_(on), copies_(copies), owner_(owner) {}

  status begin() {
    for (int i = 0; i < 2; ++i) {
      if (status s = staging_[i].reserve(staging_bytes); !s) return s;
      auto made = event::make(false);
      if (!made) return made.failure();
      copied_[i] = std::move(*made);
    }
    return {};
  }

  void upload(const tensor_view& tensor, row_range some, device_matrix& to) {
    if (!so_far_) return;
    to = {tensor.type, some.count, tensor.row_length()};
    const weight_planes planes = weight_planes_of(to.type, to.n, to.k);
    std::uint8_t* memory = take(planes.bytes);
    if (memory == nullptr) return;
    to.blocks = memory;
    if (planes.row_scales > 0)
      to.scales = reinterpret_cast<const std::uint16_t*>(memory + planes.scales_at);
    const std::uint64_t file_row = tensor.bytes.size() / tensor.rows();
    const auto* file =
        reinterpret_cast<const std::uint8_t*>(tensor.bytes.data()) + some.first * file_row;
    const std::uint64_t row_scale_bytes = planes.row_scales * 2;
    const std::uint64_t rows_max =
        std::max<std::uint64_t>(1, staging_bytes / (planes.row_bytes + row_scale_bytes));
    for (std::uint64_t row = 0; row < to.n && so_far_; row += rows_max) {
      const std::uint64_t rows = std::min(rows_max, to.n - row);
      std::uint8_t* blocks = next_half(rows * (planes.row_bytes + row_scale_bytes));
      if (blocks == nullptr) return;
      std::uint8_t* scales = blocks + rows * planes.row_bytes;
      for (std::uint64_t i = 0; i < rows; ++i)
        split_row(to.type, to.k, file + (row + i) * file_row, blocks + i * planes.row_bytes,
                  scales + i * row_scale_bytes);
      copy(memory + row * planes.row_bytes, blocks, rows * planes.row_bytes);
      copy(memory + planes.scales_at + row * row_scale_bytes, scales, rows * row_scale_bytes);
      finish_half();
    }
  }

  const float* upload_floats(const tensor_view& tensor) {
    std::vector<float> values(tensor.row_length());
    decode_row(tensor.type, tensor.bytes, values);
    const std::uint64_t bytes = values.size() * sizeof(float);
    std::uint8_t* memory = so_far_ ? take(bytes) : nullptr;
    std::uint8_t* half = memory == nullptr ? nullptr : next_half(bytes);
    if (half == nullptr) return nullptr;
    std::memcpy(half, values.data(), bytes);
    copy(memory, half, bytes);
    finish_half();
    return reinterpret_cast<const float*>(memory);
  }

  status end() {
    if (status s = copies_.wait("copying weights"); !s) return s;  // staging goes now
    return so_far_;
  }

 private:
  std::uint8_t* take(std::uint64_t bytes) {
    device_buffer& buffer = into_.memory_.emplace_back();
    so_far_ = buffer.reserve(on_, bytes, owner_);
    into_.bytes += bytes;
    return so_far_ ? buffer.as<std::uint8_t>() : nullptr;
  }
  std::uint8_t* next_half(std::uint64_t bytes) {
    half_ = 1 - half_;
    if (used_[half_]) so_far_ = copied_[half_]->wait();
    if (so_far_) so_far_ = staging_[half_].reserve(bytes);  // grows for a row larger than usual
    return so_far_ ? staging_[half_].data() : nullptr;
  }
  void copy(std::uint8_t* to, const std::uint8_t* from, std::uint64_t bytes) {
    if (bytes > 0 && so_far_)
      so_far_ = check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, copies_.get()),
                      "copying weights");
  }
  void finish_half() {
    used_[half_] = true;
    if (so_far_) so_far_ = copied_[half_]->record(copies_);
  }

  cuda_weights& into_;
  device& on_;
  const stream& copies_;
  const std::string& owner_;
  status so_far_;
  pinned_bytes staging_[2];
  std::unique_ptr<event> copied_[2];
  bool used_[2] = {};
  int half_ = 0;
};

result<std::unique_ptr<cuda_weights>> cuda_weights::load(const model& source, layer_range layers,
                                                         shard part, device& on,
                                                         const stream& copies,
                                                         const std::string& owner) {
  auto made = std::make_unique<cuda_weights>();
  weight_uploads uploads(*made, on, copies, owner);
  if (status s = uploads.begin(); !s) return s.failure();
  const auto upload = [&](const tensor_view& tensor, device_matrix& to) {
    uploads.upload(tensor, part.of(tensor.rows()), to);
  };
  if (layers.first == 0)
    uploads.upload(*source.embedding, all_rows(*source.embedding), made->embedding);
  if (has_output(source, layers)) {
    if (is_tied(source, layers))
      made->output = rows_of(made->embedding, part.of(made->embedding.n));
    else
      upload(*source.output, made->output);
    made->output_norm = uploads.upload_floats(*source.output_norm);
  }
  for (std::uint32_t i = layers.first; i < layers.end; ++i) {
    const layer_tensors& t = source.layers[i];
    cuda_layer& layer = made->layers.emplace_back();
    layer.attention_norm = uploads.upload_floats(*t.attention_norm);
    layer.feed_forward_norm = uploads.upload_floats(*t.feed_forward_norm);
    upload(*t.query, layer.query);
    upload(*t.key, layer.key);
    upload(*t.value, layer.value);
    upload(*t.attention_output, layer.attention_output);
    upload(*t.gate, layer.gate);
    upload(*t.up, layer.up);
    upload(*t.down, layer.down);
  }
  if (status s = uploads.end(); !s) return s.failure();
  return made;
}

}  // namespace troupe::kernels::cuda
