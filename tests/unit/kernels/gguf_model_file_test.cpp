#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "gguf_sample.hpp"
#include "kernels/gguf/row_codec.hpp"
#include "kernels/model_file/byte_pair_trainer.hpp"
#include "kernels/model_file/counter_normal.hpp"
#include "kernels/model_file/model_file.hpp"

using namespace troupe;
using namespace troupe::kernels;

namespace {

using words = std::vector<std::string_view>;

std::shared_ptr<const gguf_file> opened(const std::filesystem::path& path) {
  auto file = gguf_file::open(path);
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.failure().text()));
  return *file;
}

make_model_settings tiny(const std::string& tokenizer = "byte-bpe", std::uint64_t seed = 1) {
  make_model_settings settings;
  settings.tokenizer = tokenizer;
  settings.seed = seed;
  return settings;
}

std::vector<float> values_of(const tensor_view& tensor) {
  std::vector<float> values(tensor.row_length() * tensor.rows());
  decode_row(tensor.type, tensor.bytes, values);
  return values;
}

// Counts every pair anew for each merge: what the trainer must agree with.
std::vector<byte_pair_merge> obvious_merges(const std::vector<counted_word>& text,
                                            std::size_t wanted) {
  std::vector<std::vector<std::uint32_t>> ids;
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  for (const counted_word& word : text) {
    ids.emplace_back();
    for (const char c : word.bytes) ids.back().push_back(static_cast<unsigned char>(c));
  }
  std::vector<byte_pair_merge> merges;
  while (merges.size() < wanted) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> counts;
    for (std::size_t w = 0; w < ids.size(); ++w)
      for (std::size_t i = 1; i < ids[w].size(); ++i)
        counts[{ids[w][i - 1], ids[w][i]}] += text[w].count;
    std::uint64_t most = 1;
    std::pair<std::uint32_t, std::uint32_t> best;
    for (const auto& [pair, count] : counts) {
      const std::string bytes = tokens[pair.first] + tokens[pair.second];
      if (count > most && std::find(tokens.begin(), tokens.end(), bytes) == tokens.end()) {
        most = count;
        best = pair;
      }
    }
    if (most < 2) break;
    merges.push_back({best.first, best.second, tokens[best.first] + tokens[best.second]});
    for (auto& word : ids) {
      std::vector<std::uint32_t> merged;
      for (std::size_t i = 0; i < word.size(); ++i) {
        const bool joins =
            i + 1 < word.size() && word[i] == best.first && word[i + 1] == best.second;
        merged.push_back(joins ? static_cast<std::uint32_t>(tokens.size()) : word[i]);
        i += joins ? 1 : 0;
      }
      word = std::move(merged);
    }
    tokens.push_back(merges.back().bytes);
  }
  return merges;
}

// A model of one key and tensors of the given types and shapes, all values bell-shaped.
struct planned {
  std::string name;
  tensor_type type;
  std::vector<std::uint64_t> shape;
};

void write_model(const std::filesystem::path& path, const std::vector<planned>& tensors) {
  gguf_writer writer(path);
  writer.set("general.architecture", std::string("llama"));
  writer.set("general.file_type", std::uint32_t{1});
  writer.set("odd.words", std::vector<std::string>{"a", "b"});
  for (const planned& tensor : tensors) writer.add_tensor(tensor.name, tensor.type, tensor.shape);
  for (const planned& tensor : tensors) {
    std::uint64_t count = 1;
    for (const std::uint64_t length : tensor.shape) count *= length;
    std::vector<float> values(count);
    const counter_normal normal(3, tensor.name, 0.02);
    for (std::size_t i = 0; i < count; ++i) values[i] = normal.at(i);
    std::vector<std::byte> bytes(count / row_of(tensor.type).elements * row_of(tensor.type).bytes);
    REQUIRE(encode_row(tensor.type, values, bytes).ok());
    REQUIRE(writer.write_tensor(bytes).ok());
  }
  REQUIRE(writer.finish().ok());
}

}  // namespace

TEST_CASE("the trainer finds the merges that counting everything anew would find") {
  const std::vector<counted_word> text = {{"abcabc", 3}, {"bcd", 5},  {"aaaa", 2}, {"abc", 1},
                                          {" the", 9},   {"then", 4}, {"", 7},     {"hen", 1},
                                          {"e", 3},      {"abab", 4}};
  const auto merges = train_byte_pairs(text, 40);
  const auto expected = obvious_merges(text, 40);
  REQUIRE(merges.size() == expected.size());
  CHECK(merges.size() > 8);
  for (std::size_t i = 0; i < merges.size(); ++i) {
    CHECK(merges[i].left == expected[i].left);
    CHECK(merges[i].right == expected[i].right);
    CHECK(merges[i].bytes == expected[i].bytes);
  }
  CHECK(train_byte_pairs(text, 3).size() == 3);
  CHECK(train_byte_pairs({}, 3).empty());
}

TEST_CASE("the numbers of a stream are bell-shaped, and belong to seed and name") {
  const counter_normal normal(1, "w", 2.0);
  double sum = 0, squares = 0, beyond = 0;
  constexpr int count = 200000;
  for (int i = 0; i < count; ++i) {
    const double value = normal.at(static_cast<std::uint64_t>(i));
    sum += value;
    squares += value * value;
    beyond += std::fabs(value) > 4.0 ? 1 : 0;
  }
  CHECK(std::fabs(sum / count) < 0.02);
  CHECK(std::sqrt(squares / count) == doctest::Approx(2.0).epsilon(0.01));
  CHECK(beyond / count == doctest::Approx(0.0455).epsilon(0.1));
  CHECK(normal.at(5) == counter_normal(1, "w", 2.0).at(5));
  CHECK(normal.at(5) != counter_normal(2, "w", 2.0).at(5));
  CHECK(normal.at(5) != counter_normal(1, "v", 2.0).at(5));
}

TEST_CASE("a made model has the keys, tensors and vocabulary of its shape") {
  const sample::temporary_folder folder;
  const auto made = make_model(tiny(), folder / "m.gguf");
  REQUIRE(made.ok());
  CHECK(made->parameters == 1443072);
  CHECK(made->file_bytes == std::filesystem::file_size(folder / "m.gguf"));
  const auto file = opened(folder / "m.gguf");
  CHECK(*file->text("general.architecture") == "llama");
  CHECK(*file->unsigned_number("llama.block_count") == 2U);
  CHECK(*file->unsigned_number("llama.attention.head_count_kv") == 2U);
  CHECK(*file->text("tokenizer.ggml.pre") == "llama-bpe");
  REQUIRE(file->find_tensor("output.weight") != nullptr);
  CHECK(file->find_tensor("output.weight")->shape == std::vector<std::uint64_t>{256, 512});
  CHECK(file->find_tensor("blk.1.ffn_down.weight")->shape == std::vector<std::uint64_t>{512, 256});
  CHECK(file->find_tensor("blk.0.attn_norm.weight")->type == tensor_type::f32);
  CHECK(file->find_tensor("blk.0.attn_k.weight")->type == tensor_type::f16);
  CHECK(file->find_tensor("blk.0.attn_k.weight")->rows() == 128);

  const auto tokens = std::get<words>(file->metadata().at("tokenizer.ggml.tokens"));
  const auto merges = std::get<words>(file->metadata().at("tokenizer.ggml.merges"));
  const std::set<std::string_view> known(tokens.begin(), tokens.end());
  CHECK(tokens.size() == 512);
  CHECK(known.size() == 512);
  CHECK(merges.size() == 512 - 256 - 5 - made->tokens_unused);
  for (const std::string_view merge : merges) {
    const auto space = merge.find(' ');
    REQUIRE(space != std::string_view::npos);
    CHECK(known.contains(merge.substr(0, space)));
    CHECK(known.contains(merge.substr(space + 1)));
    CHECK(
        known.contains(std::string(merge.substr(0, space)) + std::string(merge.substr(space + 1))));
  }
  const auto end = *file->unsigned_number("tokenizer.ggml.eot_token_id");
  REQUIRE(end.has_value());
  CHECK(tokens[*end] == "<|eot_id|>");
  CHECK(file->text("tokenizer.chat_template")->has_value());
}

TEST_CASE("the same seed makes the same bytes with any number of threads, another seed others") {
  const sample::temporary_folder folder;
  make_model_settings settings = tiny();
  REQUIRE(make_model(settings, folder / "a.gguf").ok());
  settings.threads = 5;
  REQUIRE(make_model(settings, folder / "b.gguf").ok());
  settings.seed = 2;
  REQUIRE(make_model(settings, folder / "c.gguf").ok());
  CHECK(*file_digest(folder / "a.gguf") == *file_digest(folder / "b.gguf"));
  CHECK(*file_digest(folder / "a.gguf") != *file_digest(folder / "c.gguf"));
  CHECK(*file_digest(folder / "a.gguf") ==
        "0f189253a4797a108748179259e7e214e389b3b7895c76a54822893b8d5c4d39");
}

TEST_CASE("a sentencepiece vocabulary has bytes, scored pieces and no token twice") {
  const sample::temporary_folder folder;
  REQUIRE(make_model(tiny("sentencepiece"), folder / "m.gguf").ok());
  const auto file = opened(folder / "m.gguf");
  CHECK(*file->text("tokenizer.ggml.model") == "llama");
  const auto tokens = std::get<words>(file->metadata().at("tokenizer.ggml.tokens"));
  CHECK(tokens.size() == 512);
  CHECK(std::set<std::string_view>(tokens.begin(), tokens.end()).size() == 512);
  CHECK(tokens[3] == "<0x00>");
  CHECK(tokens[258] == "<0xFF>");
  const auto scores = std::get<std::vector<double>>(file->metadata().at("tokenizer.ggml.scores"));
  CHECK(scores.size() == 512);
  CHECK(scores[300] < scores[299]);
}

TEST_CASE("a wish for a model that does not exist is refused, naming what does") {
  const sample::temporary_folder folder;
  const auto refused = [&](make_model_settings settings) {
    const auto made = make_model(settings, folder / "m.gguf");
    REQUIRE_FALSE(made.ok());
    CHECK(made.failure().code == error_code::invalid_argument);
    CHECK_FALSE(std::filesystem::exists(folder / "m.gguf"));
    return made.failure().text();
  };
  make_model_settings settings = tiny();
  settings.shape = "huge";
  CHECK(refused(settings).find("tiny, small, 1b") != std::string::npos);
  CHECK(refused(tiny("words")).find("byte-bpe") != std::string::npos);
  settings = tiny();
  settings.type = tensor_type::q8_0;
  CHECK(refused(settings).find("f16") != std::string::npos);
  settings = tiny();
  settings.threads = 0;
  CHECK(refused(settings).find("threads") != std::string::npos);
  CHECK_FALSE(make_model(tiny(), folder / "absent/m.gguf").ok());
}

TEST_CASE("a quantized model keeps its metadata, and each matrix is what its rows encode to") {
  const sample::temporary_folder folder;
  REQUIRE(make_model(tiny(), folder / "m.gguf").ok());
  const auto from = opened(folder / "m.gguf");
  for (const tensor_type type : {tensor_type::q8_0, tensor_type::q4_0, tensor_type::q4_k,
                                 tensor_type::q5_k, tensor_type::q6_k}) {
    CAPTURE(row_of(type).name);
    const auto report = quantize_model(folder / "m.gguf", folder / "q.gguf", type, 3);
    REQUIRE_MESSAGE(report.ok(), (report.ok() ? "" : report.failure().text()));
    CHECK(report->fallbacks.empty());
    CHECK(report->bytes_after < report->bytes_before);
    const auto to = opened(folder / "q.gguf");
    REQUIRE(to->tensors().size() == from->tensors().size());
    CHECK(to->metadata().size() == from->metadata().size());
    CHECK(to->metadata().at("tokenizer.ggml.merges") ==
          from->metadata().at("tokenizer.ggml.merges"));
    for (std::size_t i = 0; i < to->tensors().size(); ++i) {
      const tensor_view& tensor = to->tensors()[i];
      const tensor_view& source = from->tensors()[i];
      CHECK(tensor.name == source.name);
      CHECK(tensor.shape == source.shape);
      const std::vector<float> values = values_of(source);
      std::vector<std::byte> expected(tensor.bytes.size());
      REQUIRE(encode_row(tensor.type, values, expected).ok());
      CHECK(std::equal(expected.begin(), expected.end(), tensor.bytes.begin()));
    }
  }
}

TEST_CASE(
    "the recipe of q4_k: more bits for the output, and for values and down projections of half of "
    "the layers") {
  const sample::temporary_folder folder;
  std::vector<planned> tensors = {{"token_embd.weight", tensor_type::f16, {256, 4}},
                                  {"output.weight", tensor_type::f16, {256, 4}}};
  for (int layer = 0; layer < 16; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    tensors.push_back({block + "attn_q.weight", tensor_type::f16, {256, 2}});
    tensors.push_back({block + "attn_v.weight", tensor_type::f16, {256, 2}});
    tensors.push_back({block + "ffn_down.weight", tensor_type::f16, {256, 2}});
  }
  write_model(folder / "m.gguf", tensors);
  REQUIRE(quantize_model(folder / "m.gguf", folder / "q.gguf", tensor_type::q4_k).ok());
  const auto file = opened(folder / "q.gguf");
  CHECK(*file->unsigned_number("general.file_type") == 15U);
  CHECK(file->find_tensor("token_embd.weight")->type == tensor_type::q4_k);
  CHECK(file->find_tensor("output.weight")->type == tensor_type::q6_k);
  const std::set<int> more = {0, 1, 4, 7, 10, 13, 14, 15};
  for (int layer = 0; layer < 16; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    const tensor_type expected = more.contains(layer) ? tensor_type::q6_k : tensor_type::q4_k;
    CHECK(file->find_tensor(block + "attn_v.weight")->type == expected);
    CHECK(file->find_tensor(block + "ffn_down.weight")->type == expected);
    CHECK(file->find_tensor(block + "attn_q.weight")->type == tensor_type::q4_k);
  }
}

TEST_CASE(
    "a tied embedding is treated as the output, vectors become f32, odd rows fall back and are "
    "reported") {
  const sample::temporary_folder folder;
  write_model(folder / "m.gguf", {{"token_embd.weight", tensor_type::bf16, {256, 4}},
                                  {"norm.weight", tensor_type::f16, {40}},
                                  {"wide.weight", tensor_type::f32, {96, 2}},
                                  {"odd.weight", tensor_type::f32, {33, 2}},
                                  {"eight.weight", tensor_type::q8_0, {256, 2}}});
  const auto report = quantize_model(folder / "m.gguf", folder / "q.gguf", tensor_type::q5_k);
  REQUIRE(report.ok());
  const auto file = opened(folder / "q.gguf");
  CHECK(file->find_tensor("token_embd.weight")->type == tensor_type::q6_k);
  CHECK(file->find_tensor("norm.weight")->type == tensor_type::f32);
  CHECK(file->find_tensor("wide.weight")->type == tensor_type::q8_0);
  CHECK(file->find_tensor("odd.weight")->type == tensor_type::f16);
  CHECK(file->find_tensor("eight.weight")->type == tensor_type::q5_k);
  REQUIRE(report->fallbacks.size() == 2);
  CHECK(report->fallbacks[0].tensor == "wide.weight");
  CHECK(report->fallbacks[0].used == tensor_type::q8_0);
  CHECK(report->fallbacks[1].row_length == 33);
  CHECK(report->fallbacks[1].used == tensor_type::f16);
}

TEST_CASE("quantizing refuses what it cannot do well and leaves no file") {
  const sample::temporary_folder folder;
  write_model(folder / "four.gguf", {{"a.weight", tensor_type::q4_0, {256, 2}}});
  const auto twice = quantize_model(folder / "four.gguf", folder / "q.gguf", tensor_type::q8_0);
  REQUIRE_FALSE(twice.ok());
  CHECK(twice.failure().message.find("'a.weight' is q4_0 already") != std::string::npos);

  gguf_writer writer(folder / "nan.gguf");
  writer.add_tensor("a.weight", tensor_type::f32, {32, 3});
  std::vector<float> values(96, 1.0F);
  values[70] = std::nanf("");
  REQUIRE(writer.write_tensor(std::as_bytes(std::span<const float>(values))).ok());
  REQUIRE(writer.finish().ok());
  const auto bad = quantize_model(folder / "nan.gguf", folder / "q.gguf", tensor_type::q8_0);
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.failure().message.find("'a.weight', row 2: value 6") != std::string::npos);

  CHECK(quantize_model(folder / "absent", folder / "q.gguf", tensor_type::q8_0).failure().code ==
        error_code::not_found);
  CHECK_FALSE(quantize_model(folder / "nan.gguf", folder / "q.gguf", tensor_type::f16).ok());
  CHECK_FALSE(std::filesystem::exists(folder / "q.gguf"));
}

TEST_CASE("a description counts everything and shows nothing that could upset a terminal") {
  const sample::temporary_folder folder;
  gguf_writer writer(folder / "m.gguf");
  writer.set("a.text", std::string("one\ntwo\x1b[31m\xff " + std::string(500, 'x')));
  writer.set("b.words", std::vector<std::string>(100, "\xc4\xa0w"));
  writer.set("c.flag", false);
  writer.add_tensor("w", tensor_type::q8_0, {32, 2});
  REQUIRE(writer.write_tensor(std::vector<std::byte>(68)).ok());
  REQUIRE(writer.finish().ok());
  model_description about = describe_model(*opened(folder / "m.gguf"));
  CHECK(about.parameters == 64);
  CHECK(about.tensor_bytes == 68);
  CHECK(about.gguf_version == 3);
  CHECK(about.file_bytes == std::filesystem::file_size(folder / "m.gguf"));
  REQUIRE(about.metadata.size() == 3);
  CHECK(about.metadata[0].value.starts_with("one\\ntwo\\x1b[31m\\xff xxx"));
  CHECK(about.metadata[0].value.size() < 140);
  CHECK(about.metadata[1].type == "string[100]");
  CHECK(about.metadata[1].value ==
        "[\xc4\xa0w, \xc4\xa0w, \xc4\xa0w, \xc4\xa0w, \xc4\xa0w, \xc4\xa0w, ...]");
  CHECK(about.metadata[2].value == "false");
  REQUIRE(about.types.size() == 1);
  CHECK(about.types[0].tensors == 1);
  about.digest = "d1";
  bool digest = false, tensor = false;
  for (const std::string& line : about.lines()) {
    digest = digest || line == "sha256 d1";
    tensor = tensor || line.find("32 x 2") != std::string::npos;
  }
  CHECK(digest);
  CHECK(tensor);
}
