#include "kernels/cuda_bench.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "kernels/backend/cuda/bodies/launches.hpp"
#include "kernels/backend/cuda/devices/runtime_cuda.hpp"

namespace troupe::kernels {
namespace {

using namespace troupe::kernels::cuda;

const std::string owner = "bench";

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class gpu_bench {
 public:
  gpu_bench(device& on, const cuda_bench_request& request) : on_(on), request_(request) {}

  status begin() {
    auto work = stream::make();
    if (!work) return work.failure();
    work_ = std::move(*work);
    for (auto* one : {&begin_, &end_}) {
      auto made = event::make(true);
      if (!made) return made.failure();
      *one = std::move(*made);
    }
    if (status s = weights_.reserve(on_, request_.weight_bytes, owner); !s) return s;
    if (status s = copied_.reserve(on_, request_.weight_bytes, owner); !s) return s;
    return fill(weights_);
  }

  // Weights of one type against rows of x.
  status measure_product(const tensor_type_row& type, std::uint32_t rows, cuda_bench_report& into) {
    if (status fits = check_fits(type.type); !fits) return fits;
    device_buffer x, q, d, sums, out;
    const std::uint64_t values = rows * request_.k;
    for (auto [buffer, bytes] : {std::pair{&x, values * 4},
                                 {&q, values},
                                 {&d, values * 4},
                                 {&sums, values / 8},
                                 {&out, rows * request_.n * 4}})
      if (status s = buffer->reserve(on_, bytes, owner); !s) return s;
    for (const device_buffer* buffer : {&x, &q, &d, &sums})
      if (status s = fill(*buffer); !s) return s;
    const auto launch = [&](std::uint64_t i) {
      return launch_product({.w = matrix(type.type, i),
                             .rows = rows,
                             .values = x.as<float>(),
                             .q = q.as<std::int8_t>(),
                             .d = d.as<float>(),
                             .sums = sums.as<std::int16_t>(),
                             .out = out.as<float>(),
                             .out_stride = request_.n},
                            work_->get());
    };
    return measure_rows("product", type, rows, launch, into);
  }

  // The same in the class `tensor`.
  status measure_half_product(const tensor_type_row& type, std::uint32_t rows,
                              cuda_bench_report& into) {
    if (status fits = check_fits(type.type); !fits) return fits;
    device_buffer x, inverse, out;
    for (auto [buffer, bytes] : {std::pair{&x, rows * half_width(request_.k) * 2},
                                 {&inverse, std::uint64_t{rows} * 4},
                                 {&out, rows * request_.n * 4}})
      if (status s = buffer->reserve(on_, bytes, owner); !s) return s;
    for (const device_buffer* buffer : {&x, &inverse})
      if (status s = fill(*buffer); !s) return s;
    const auto launch = [&](std::uint64_t i) {
      return launch_half_product({.w = matrix(type.type, i),
                                  .rows = rows,
                                  .x = x.as<std::uint16_t>(),
                                  .inverse = inverse.as<float>(),
                                  .out = out.as<float>(),
                                  .out_stride = request_.n},
                                 work_->get());
    };
    return measure_rows("tensor", type, rows, launch, into);
  }

  // Decode of `sequences` at the context's end: 32 heads of 128 over 8 of keys and values.
  status measure_decode(kv_type type, std::uint32_t sequences, cuda_bench_report& into) {
    constexpr std::uint32_t heads = 32, heads_kv = 8, dimension = 128;
    const std::uint64_t block_bytes = kv_head_bytes(type, dimension) * heads_kv;
    const std::uint64_t blocks = blocks_for(request_.context) * sequences;
    const std::uint64_t each = blocks * block_bytes;
    if (each > request_.weight_bytes) return {};  // the bench's memory is too small for this row
    const std::uint64_t count = request_.weight_bytes / each;
    std::vector<attention_tile> tiles;
    std::vector<std::uint32_t> ids(blocks);
    for (std::uint64_t i = 0; i < blocks; ++i) ids[i] = static_cast<std::uint32_t>(i);
    for (std::uint32_t s = 0; s < sequences; ++s)
      for (std::uint32_t head = 0; head < heads_kv; ++head)
        tiles.push_back({.row = s,
                         .position = request_.context - 1,
                         .kv_head = head,
                         .begin = 0,
                         .end = heads / heads_kv,
                         .blocks_at = static_cast<std::uint32_t>(blocks / sequences * s)});
    const std::uint32_t spans = (request_.context + attention_span - 1) / attention_span;
    device_buffer plan, table, rows, out, partial;
    const std::uint64_t row_bytes = std::uint64_t{sequences} * heads * dimension * 4;
    for (auto [buffer, bytes] :
         {std::pair{&plan, std::uint64_t{tiles.size() * sizeof tiles[0]}},
          {&table, blocks * 4},
          {&rows, row_bytes},
          {&out, row_bytes},
          {&partial, std::uint64_t{tiles.size()} * spans * 4 * (dimension + 2) * 4}})
      if (status s = buffer->reserve(on_, bytes, owner); !s) return s;
    if (status s = fill(rows); !s) return s;
    if (status s = copy_in(plan, tiles.data(), tiles.size() * sizeof tiles[0]); !s) return s;
    if (status s = copy_in(table, ids.data(), blocks * 4); !s) return s;
    const auto launch = [&](std::uint64_t i) {
      return launch_attention(type,
                              {.store = {weights_.as<std::uint8_t>() + i % count * each,
                                         block_bytes, heads_kv, dimension},
                               .tiles = plan.as<attention_tile>(),
                               .blocks = table.as<std::uint32_t>(),
                               .group = heads / heads_kv,
                               .queries = rows.as<float>(),
                               .query_stride = heads * dimension,
                               .out = out.as<float>(),
                               .out_stride = heads * dimension,
                               .scale = 1.0f / std::sqrt(static_cast<float>(dimension)),
                               .partial = partial.as<float>(),
                               .spans = spans,
                               .rows_of_tile = 4},
                              static_cast<std::uint32_t>(tiles.size()), work_->get());
    };
    const double adds = 2.0 * sequences * heads * dimension * request_.context;
    return measure(std::string("decode ") + (type == kv_type::f16 ? "f16" : "q8_0") + " x " +
                       std::to_string(sequences) + " at " + std::to_string(request_.context),
                   static_cast<double>(each), adds, launch, into);
  }

  double copy_median() const { return median(copies_); }

 private:
  // Of the weights that the repetitions rotate through.
  std::uint64_t matrix_bytes(tensor_type type) const {
    return (weight_planes_of(type, request_.n, request_.k).bytes + 255) / 256 * 256;
  }
  status check_fits(tensor_type type) const {
    if (matrix_bytes(type) <= request_.weight_bytes) return {};
    return error{error_code::invalid_argument, "a matrix is larger than the weights to rotate",
                 "make n or k smaller"};
  }
  device_matrix matrix(tensor_type type, std::uint64_t i) const {
    const std::uint64_t each = matrix_bytes(type);
    const std::uint8_t* at =
        weights_.as<std::uint8_t>() + i % (request_.weight_bytes / each) * each;
    const weight_planes planes = weight_planes_of(type, request_.n, request_.k);
    return {type, request_.n, request_.k, at,
            reinterpret_cast<const std::uint16_t*>(at + planes.scales_at)};
  }
  status measure_rows(const std::string& what, const tensor_type_row& type, std::uint32_t rows,
                      const std::function<runtime_code(std::uint64_t)>& launch,
                      cuda_bench_report& into) {
    const double adds = static_cast<double>(rows) * static_cast<double>(request_.n * request_.k);
    return measure(what + " " + std::string(type.name) + " x " + std::to_string(rows),
                   static_cast<double>(weight_planes_of(type.type, request_.n, request_.k).bytes),
                   adds, launch, into);
  }

  // Random bytes: zeros run faster than data does.
  status fill(const device_buffer& to) {
    constexpr std::uint64_t piece = 16 << 20;
    if (pattern_.data() == nullptr) {
      if (status s = pattern_.reserve(piece); !s) return s;
      std::mt19937 random(1);
      for (std::uint64_t i = 0; i < piece; i += 4) {
        const std::uint32_t word = random() & 0x3bff3bffu;  // finite as float16 and as float32
        std::memcpy(pattern_.data() + i, &word, 4);
      }
    }
    for (std::uint64_t at = 0; at < to.size(); at += piece)
      if (status s = check(cudaMemcpyAsync(to.as<std::uint8_t>() + at, pattern_.data(),
                                           std::min(piece, to.size() - at), cudaMemcpyHostToDevice,
                                           work_->get()),
                           "filling memory");
          !s)
        return s;
    return work_->wait("filling memory");
  }

  status copy_in(const device_buffer& to, const void* from, std::uint64_t bytes) {
    if (status s =
            check(cudaMemcpyAsync(to.as<void>(), from, bytes, cudaMemcpyHostToDevice, work_->get()),
                  "copying a plan");
        !s)
      return s;
    return work_->wait("copying a plan");
  }

  result<double> time(const std::function<int()>& start) {
    if (status s = begin_->record(*work_); !s) return s.failure();
    if (status s = check(start(), "starting a kernel"); !s) return s.failure();
    if (status s = end_->record(*work_); !s) return s.failure();
    if (status s = end_->wait(); !s) return s.failure();
    return event::seconds(*begin_, *end_);
  }

  status measure(std::string name, double bytes, double adds,
                 const std::function<runtime_code(std::uint64_t)>& launch,
                 cuda_bench_report& into) {
    std::vector<double> times, copies;
    for (std::uint32_t i = 0; i < request_.repeat + 3; ++i) {
      const auto copied = time([&] {
        return static_cast<int>(cudaMemcpyAsync(copied_.as<void>(), weights_.as<void>(),
                                                weights_.size(), cudaMemcpyDeviceToDevice,
                                                work_->get()));
      });
      if (!copied) return copied.failure();
      const auto ran = time([&] { return launch(i); });
      if (!ran) return ran.failure();
      if (i < 3) continue;  // the first runs only warm up
      times.push_back(*ran);
      copies.push_back(2.0 * static_cast<double>(weights_.size()) / *copied);
    }
    copies_.insert(copies_.end(), copies.begin(), copies.end());
    const double seconds = median(times);
    into.rows.push_back({.name = std::move(name),
                         .seconds = seconds,
                         .bytes_per_second = bytes / seconds,
                         .share_of_copy = bytes / seconds / median(copies),
                         .multiply_adds_per_second = adds / seconds});
    return {};
  }

  device& on_;
  const cuda_bench_request& request_;
  std::unique_ptr<stream> work_;
  std::unique_ptr<event> begin_, end_;
  device_buffer weights_, copied_;
  pinned_bytes pattern_;
  std::vector<double> copies_;
};

}  // namespace

result<cuda_bench_report> bench_cuda(const cuda_settings& cuda, const cuda_bench_request& request) {
  if (request.repeat == 0 || request.n == 0 || request.k == 0 || request.k % 256 != 0 ||
      request.context == 0 || request.weight_bytes == 0)
    return error{error_code::invalid_argument, "a bench of nothing, or of rows cut through a block",
                 "repeat, n, k, context and weight bytes above 0, k a multiple of 256"};
  auto on = device::open(cuda);
  if (!on) return on.failure();
  if (status s = (*on)->bind(); !s) return s.failure();
  gpu_bench bench(**on, request);
  if (status s = bench.begin(); !s) return s.failure();
  cuda_bench_report report;
  report.device = (*on)->description();
  for (const std::uint32_t rows : {1u, 8u, 32u, 2048u})
    for (const tensor_type_row& type : tensor_type_table) {
      if (status s = bench.measure_product(type, rows, report); !s) return s.failure();
      if (type.type == tensor_type::f32) continue;
      if (status s = bench.measure_half_product(type, rows, report); !s) return s.failure();
    }
  for (const kv_type type : {kv_type::f16, kv_type::q8_0})
    for (const std::uint32_t sequences : {1u, 32u})
      if (status s = bench.measure_decode(type, sequences, report); !s) return s.failure();
  report.copy_bytes_per_second = bench.copy_median();
  return report;
}

}  // namespace troupe::kernels
