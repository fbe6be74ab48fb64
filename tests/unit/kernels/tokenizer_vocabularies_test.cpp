// Ids of real vocabularies against the ids that llama.cpp publishes for the same texts. Skipped,
// and said so, where the folder of shared data is absent.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "kernels/tokenizer/tokenizer.hpp"

using namespace troupe;
using namespace troupe::kernels;

namespace {

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Every text but the last is followed by a separator line, and may itself hold line ends.
std::vector<std::string> read_texts(const std::filesystem::path& path) {
  const std::string all = read_all(path);
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  std::size_t from = 0;
  for (std::size_t at; (at = all.find(separator, from)) != std::string::npos;
       from = at + separator.size())
    texts.push_back(all.substr(from, at - from));
  return texts;
}

std::vector<std::vector<token_id>> read_ids(const std::filesystem::path& path) {
  std::istringstream lines(read_all(path));
  std::vector<std::vector<token_id>> all;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    all.emplace_back(std::istream_iterator<token_id>(words), std::istream_iterator<token_id>());
  }
  return all;
}

}  // namespace

TEST_CASE("real vocabularies give the published ids") {
  const auto folder = std::filesystem::path(TROUPE_SOURCE_DIR) / ".." / "shared" / "data" / "vocab";
  for (const std::string name : {"gpt-2", "falcon", "llama-spm", "phi-3"}) {
    CAPTURE(name);
    const auto path = folder / ("ggml-vocab-" + name + ".gguf");
    if (!std::filesystem::exists(path)) {
      std::cout << (std::filesystem::exists(folder) ? "left out" : "skipped") << ": no "
                << path.string() << "\n";
      continue;
    }
    const auto file = gguf_file::open(path);
    REQUIRE(file);
    const auto words = tokenizer::make(**file);
    REQUIRE(words);
    const auto texts = read_texts(path.string() + ".inp");
    const auto expected = read_ids(path.string() + ".out");
    REQUIRE(texts.size() == expected.size());
    CHECK(texts.size() > 40);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      CAPTURE(texts[i]);
      const auto ids = (*words)->encode(texts[i], {});
      REQUIRE(ids);
      CHECK(*ids == expected[i]);
      CHECK((*words)->decode(*ids) == texts[i]);
    }
  }
}
