// Any bytes given to the GGUF reader: read or refused with a message; every view that comes out
// lies inside the bytes.
#include <cstdint>
#include <cstdlib>

#include "kernels/gguf/gguf.hpp"
#include "kernels/gguf/row_codec.hpp"
#include "kernels/model_file/model_file.hpp"

namespace {

using namespace troupe::kernels;

volatile std::size_t sink;

void read_all(const gguf_file& file) {
  std::size_t sum = 0;
  for (const std::string& line : describe_model(file).lines()) sum += line.size();
  for (const tensor_view& tensor : file.tensors()) {
    if (file.find_tensor(tensor.name) != &tensor) std::abort();
    for (const std::byte b : tensor.bytes) sum += std::to_integer<std::size_t>(b);
    const std::uint64_t row_bytes = tensor.bytes.size() / tensor.rows();
    std::vector<float> row(tensor.row_length());
    decode_row(tensor.type, tensor.bytes.first(row_bytes), row);
    sum += row.front() > 0 ? 1 : 0;
  }
  for (const auto& [key, value] : file.metadata()) {
    const auto number = file.unsigned_number(key);
    const auto text = file.text(key);
    sum += (number.ok() ? 1U : 0U) + (text.ok() ? 1U : 0U);
  }
  sink = sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = gguf_file::parse(std::as_bytes(std::span(data, size)));
  if (parsed.ok()) {
    read_all(**parsed);
  } else if (parsed.failure().message.empty()) {
    std::abort();
  }
  return 0;
}
