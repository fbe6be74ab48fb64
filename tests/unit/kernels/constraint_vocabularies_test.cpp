// Masks over real vocabularies, and how long they take; skipped, and said so, where the folder of
// shared data is absent.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "kernels/tokenizer/tokenizer.hpp"
#include "tests/unit/kernels/constraint_sample.hpp"

using namespace constraint_sample;

namespace {

const std::filesystem::path folder =
    std::filesystem::path(TROUPE_SOURCE_DIR) / ".." / "shared" / "data" / "vocab";

bool is_absent() {
  if (std::filesystem::is_directory(folder)) return false;
  std::puts("skipped: ../shared/data/vocab is absent");
  return true;
}

std::vector<std::string> pieces_of(const std::string& name) {
  const auto file = gguf_file::open(folder / ("ggml-vocab-" + name + ".gguf"));
  REQUIRE(file.ok());
  const auto words = tokenizer::make(**file);
  REQUIRE(words.ok());
  std::vector<std::string> out;
  for (std::uint32_t id = 0; id < (*words)->vocabulary_size(); ++id)
    out.emplace_back((*words)->piece(static_cast<token_id>(id)));
  return out;
}

// All four vocabularies, and then pairs of their pieces: as large as a modern one.
std::vector<std::string> large_vocabulary(std::size_t size) {
  std::vector<std::string> out;
  for (const char* name : {"llama-spm", "phi-3", "gpt-2", "falcon"})
    for (std::string& piece : pieces_of(name)) out.push_back(std::move(piece));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  const std::size_t known = out.size();
  for (std::uint64_t n = 1; out.size() < size; ++n)
    out.push_back(out[n * 2654435761u % known] + out[n * 40503u % known]);
  return out;
}

double cpu_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

template <class Work>
double median_us(int repeats, const Work& work) {
  std::vector<double> took;
  for (int i = 0; i < repeats; ++i) {
    const double begin = cpu_us();
    work();
    took.push_back(cpu_us() - begin);
  }
  std::sort(took.begin(), took.end());
  return took[took.size() / 2];
}

constexpr const char* person = R"({"type": "object", "additionalProperties": false,
  "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 40}},
    "mail": {"type": "string", "format": "email"}, "score": {"type": "number"}},
  "required": ["name", "age"]})";

const std::pair<const char*, const char*> person_states[] = {
    {"before the answer", ""},
    {"at a name", R"({"name": "An", "age": 3, )"},
    {"after a colon", R"({"name":)"},
    {"in a text", R"({"name": "An)"},
    {"in a text of 40", R"({"name": "An", "age": 3, "tags": ["ab)"},
    {"in an integer", R"({"name": "An", "age": 3)"},
    {"in a number", R"({"name": "An", "age": 3, "score": 1.2)"},
    {"in an email", R"({"name": "An", "age": 3, "mail": "a)"},
};

}  // namespace

TEST_CASE("constraint: masks of real vocabularies are what copies would accept") {
  if (is_absent()) return;
  for (const char* name : {"llama-spm", "gpt-2"}) {
    CAPTURE(name);
    std::vector<std::string> texts = pieces_of(name);
    texts.emplace_back();
    const auto trie = trie_of(texts);
    token_masks masks(trie);
    std::vector<std::uint64_t> mask(trie->mask_words());
    const auto rules = rules_of(person);
    for (const auto& one : person_states) {
      const char* const state = one.first;
      const char* const text = one.second;
      CAPTURE(state);
      json_matcher at(rules);
      REQUIRE(at.accept(text));
      CHECK(masks.allowed_tokens(at, mask));
      CHECK(mask == slow_mask(at, texts, trie->ends()));
    }
  }
}

TEST_CASE("constraint: time of a mask" * doctest::skip()) {
  if (is_absent()) return;
  const auto compile = [] { CHECK(compiled(person).ok()); };
  std::printf("compiling %.0f us\n", median_us(5, compile));
  json_matcher open(rules_of(R"({"type": "object"})"));
  REQUIRE(open.accept("{\"a\": [{\"b\": \""));
  std::printf("accepting a byte %.2f us\n", median_us(51, [&] { open.accept("x"); }));
  std::vector<std::string> small = pieces_of("llama-spm"), large = large_vocabulary(128000);
  for (std::vector<std::string>* texts : {&small, &large}) {
    texts->emplace_back();
    std::shared_ptr<const token_trie> trie;
    const double built = median_us(1, [&] { trie = trie_of(*texts); });
    std::printf("%zu tokens, %u nodes, tree built in %.0f us\n", texts->size(), trie->nodes(),
                built);
    const auto rules = rules_of(person);
    std::vector<std::uint64_t> mask(trie->mask_words());
    for (const auto& one : person_states) {
      const char* const state = one.first;
      const char* const text = one.second;
      json_matcher at(rules);
      REQUIRE(at.accept(text));
      token_masks masks(trie);
      const double first = median_us(1, [&] { masks.allowed_tokens(at, mask); });
      const double again = median_us(51, [&] { masks.allowed_tokens(at, mask); });
      const double walk = median_us(7, [&] { allowed_tokens(at, *trie, mask); });
      std::printf("  %-18s first %8.1f us, then %6.1f us; without memory %8.1f us\n", state, first,
                  again, walk);
    }
  }
}
