// What model::open accepts and refuses: a generated file, rewritten with one thing changed.
#include <doctest/doctest.h>

#include <unistd.h>
#include <filesystem>
#include <map>
#include <string>

#include "kernels/model/model.hpp"
#include "kernels/model_file/model_file.hpp"

using namespace troupe::kernels;
using troupe::error_code;
namespace fs = std::filesystem;

namespace {

// A folder of this process that goes away with it.
struct scratch_folder {
  fs::path path =
      fs::temp_directory_path() / ("troupe-model-opening-" + std::to_string(::getpid()));
  scratch_folder() { fs::create_directories(path); }
  ~scratch_folder() { fs::remove_all(path); }
};

const fs::path& whole_model() {
  static const scratch_folder folder;
  static const fs::path path = [] {
    const fs::path made = folder.path / "whole.gguf";
    REQUIRE(make_model({.shape = "tiny", .tokenizer = "byte-bpe", .seed = 3}, made).ok());
    return made;
  }();
  return path;
}

constexpr std::uint32_t u32 = 4, f32 = 6, text = 8;  // GGUF's numbers of value types

struct changes {
  std::map<std::string, std::pair<metadata_value, std::uint32_t>> set = {};
  std::string drop_key = {};
  std::string drop_tensor = {};
  std::string halve_tensor = {};  // its last dimension
  std::string add_tensor = {};    // one more, of four values
};

// Writes the model with the changes, opens it and gives the error (or success as ok).
troupe::error opened_with(const changes& change) {
  const fs::path path = whole_model().parent_path() / "changed.gguf";
  auto from = gguf_file::open(whole_model());
  REQUIRE(from.ok());
  gguf_writer writer(path);
  for (const auto& [key, value] : (*from)->metadata())
    if (key != change.drop_key && !change.set.contains(std::string(key)))
      writer.set_raw(key, value, *(*from)->metadata_type(key));
  for (const auto& [key, value] : change.set) writer.set_raw(key, value.first, value.second);
  std::vector<std::span<const std::byte>> data;
  for (const tensor_view& tensor : (*from)->tensors()) {
    if (tensor.name == change.drop_tensor) continue;
    std::vector<std::uint64_t> shape = tensor.shape;
    const bool half = tensor.name == change.halve_tensor;
    if (half) shape.back() /= 2;
    writer.add_tensor(std::string(tensor.name), tensor.type, shape);
    data.push_back(half ? tensor.bytes.first(tensor.bytes.size() / 2) : tensor.bytes);
  }
  const std::vector<std::byte> four(16);
  if (!change.add_tensor.empty()) {
    writer.add_tensor(change.add_tensor, tensor_type::f32, {4});
    data.push_back(four);
  }
  for (const auto bytes : data) REQUIRE(writer.write_tensor(bytes).ok());
  REQUIRE(writer.finish().ok());
  auto model = model::open(path);
  return model.ok() ? troupe::error{error_code::ok, "", ""} : model.failure();
}

void check_refusal(const changes& change, error_code code, const std::string& named) {
  const troupe::error refusal = opened_with(change);
  CAPTURE(refusal.text());
  CHECK(refusal.code == code);
  CHECK(refusal.message.find(named) != std::string::npos);
  CHECK(refusal.message.find("changed.gguf") != std::string::npos);
}

std::pair<metadata_value, std::uint32_t> number(std::uint64_t value) {
  return {value, u32};
}
std::pair<metadata_value, std::uint32_t> real(double value) {
  return {value, f32};
}
std::pair<metadata_value, std::uint32_t> words(std::string_view value) {
  return {value, text};
}

}  // namespace

TEST_CASE("a whole model opens with its shape, tensors and tokenizer") {
  auto opened = model::open(whole_model());
  REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.failure().text()));
  const model& m = **opened;
  CHECK(m.shape.layers == 2);
  CHECK(m.shape.embedding == 256);
  CHECK(m.shape.heads == 4);
  CHECK(m.shape.heads_kv == 2);
  CHECK(m.shape.head_dimension == 64);
  CHECK(m.shape.rope_dimension == 64);
  CHECK(m.shape.vocabulary == 512);
  CHECK(m.shape.context_tokens == 2048);
  CHECK(m.shape.rope_linear_scale == 1);
  CHECK(m.layers.size() == 2);
  CHECK(m.output != m.embedding);
  CHECK(m.rope_factors == nullptr);
  CHECK(m.words->vocabulary_size() == 512);
}

TEST_CASE("what may be left out may be left out") {
  CHECK(opened_with({}).code == error_code::ok);
  CHECK(opened_with({.drop_tensor = "output.weight"}).code == error_code::ok);  // tied
  CHECK(opened_with({.drop_key = "llama.rope.freq_base"}).code == error_code::ok);
  CHECK(opened_with({.drop_key = "llama.attention.key_length"}).code == error_code::ok);
  CHECK(opened_with({.set = {{"llama.rope.scaling.type", words("linear")},
                             {"llama.rope.scaling.factor", real(4)}}})
            .code == error_code::ok);
  CHECK(opened_with({.set = {{"llama.attention.sliding_window", number(128)}}}).code ==
        error_code::ok);
}

TEST_CASE("missing, misshapen and foreign tensors are refused by name") {
  check_refusal({.drop_tensor = "blk.1.ffn_up.weight"}, error_code::data_corrupt,
                "blk.1.ffn_up.weight");
  check_refusal({.drop_tensor = "token_embd.weight"}, error_code::data_corrupt,
                "token_embd.weight");
  check_refusal({.drop_tensor = "output_norm.weight"}, error_code::data_corrupt,
                "output_norm.weight");
  check_refusal({.halve_tensor = "blk.0.attn_k.weight"}, error_code::data_corrupt,
                "blk.0.attn_k.weight");
  check_refusal({.halve_tensor = "token_embd.weight"}, error_code::data_corrupt, "");
  check_refusal({.add_tensor = "blk.0.attn_q.bias"}, error_code::unsupported, "blk.0.attn_q.bias");
  check_refusal({.add_tensor = "rope_freqs.weight"}, error_code::data_corrupt, "rope_freqs.weight");
}

TEST_CASE("hyperparameters that cannot be are refused by key") {
  check_refusal({.drop_key = "llama.block_count"}, error_code::data_corrupt, "llama.block_count");
  check_refusal({.drop_key = "llama.attention.layer_norm_rms_epsilon"}, error_code::data_corrupt,
                "rms_epsilon");
  check_refusal({.set = {{"llama.block_count", number(0)}}}, error_code::data_corrupt,
                "llama.block_count");
  check_refusal({.set = {{"llama.block_count", number(4000000000u)}}}, error_code::data_corrupt,
                "llama.block_count");
  check_refusal({.set = {{"llama.block_count", number(3)}}}, error_code::data_corrupt, "blk.2.");
  check_refusal({.set = {{"llama.block_count", number(1)}}}, error_code::unsupported, "blk.1.");
  check_refusal({.set = {{"llama.attention.head_count_kv", number(3)}}}, error_code::data_corrupt,
                "3 key and value heads");
  check_refusal({.set = {{"llama.attention.value_length", number(32)}}}, error_code::unsupported,
                "values of length 32");
  check_refusal({.set = {{"llama.rope.dimension_count", number(32)}}}, error_code::unsupported,
                "rope.dimension_count");
  check_refusal({.set = {{"llama.rope.freq_base", real(0)}}}, error_code::data_corrupt,
                "rope.freq_base");
  check_refusal({.set = {{"llama.context_length", number(0)}}}, error_code::data_corrupt,
                "context_length");
  check_refusal({.set = {{"llama.block_count", words("two")}}}, error_code::data_corrupt,
                "llama.block_count");
}

TEST_CASE("architectures and scalings that are not computed are unsupported") {
  check_refusal({.set = {{"general.architecture", words("qwen2")}}}, error_code::unsupported,
                "qwen2");
  check_refusal({.set = {{"llama.rope.scaling.type", words("yarn")}}}, error_code::unsupported,
                "yarn");
  check_refusal({.set = {{"llama.expert_count", number(8)}}}, error_code::unsupported, "experts");
}

TEST_CASE("a file that is not there is an error that names it") {
  auto opened = model::open("/nowhere/at/all.gguf");
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.failure().message.find("/nowhere/at/all.gguf") != std::string::npos);
}
