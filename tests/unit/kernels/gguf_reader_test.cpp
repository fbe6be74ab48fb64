#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "gguf_sample.hpp"
#include "kernels/gguf/checked.hpp"

using namespace troupe;
using namespace troupe::kernels;
using sample::raw_file;

namespace {

error refusal(const raw_file& file) {
  auto parsed = gguf_file::parse(file.bytes());
  REQUIRE_FALSE(parsed.ok());
  return parsed.failure();
}

bool says(const error& e, const std::string& part) {
  return e.message.find(part) != std::string::npos;
}

constexpr std::uint32_t type_u32 = 4, type_bool = 7, type_text = 8, type_array = 9;

}  // namespace

TEST_CASE("checked arithmetic gives the true value or nothing") {
  constexpr std::uint64_t top = ~std::uint64_t{0};
  CHECK(checked::add(top - 1, 1) == top);
  CHECK_FALSE(checked::add(top, 1));
  CHECK(checked::mul(top, 0) == 0);
  CHECK(checked::mul(1ULL << 32, 1ULL << 31) == 1ULL << 63);
  CHECK_FALSE(checked::mul(1ULL << 32, 1ULL << 32));
  CHECK(checked::align_up(33, 32) == 64);
  CHECK(checked::align_up(64, 32) == 64);
  CHECK_FALSE(checked::align_up(1, 0));
  CHECK_FALSE(checked::align_up(1, 24));
  CHECK_FALSE(checked::align_up(top, 2));
  CHECK(checked::narrow<std::int8_t>(127) == 127);
  CHECK_FALSE(checked::narrow<std::int8_t>(128));
  CHECK_FALSE(checked::narrow<std::uint32_t>(-1));
  CHECK(checked::fits(4, 8, 32));
  CHECK_FALSE(checked::fits(5, 8, 32));
  CHECK_FALSE(checked::fits(top, 8, 32));
}

TEST_CASE("what the writer wrote is read back") {
  const auto bytes = sample::small_file();
  auto parsed = gguf_file::parse(bytes);
  REQUIRE_MESSAGE(parsed.ok(), (parsed.ok() ? "" : parsed.failure().text()));
  const gguf_file& file = **parsed;
  CHECK(file.version() == 3);
  CHECK(file.size_bytes() == bytes.size());
  CHECK(*file.text("general.architecture") == "llama");
  CHECK(*file.flag("a.flag") == true);
  CHECK(*file.number("a.real") == 0.5);
  CHECK(*file.unsigned_number("general.alignment") == 32U);
  CHECK(std::get<std::vector<std::string_view>>(file.metadata().at("a.words")) ==
        std::vector<std::string_view>{"one", "", "three"});
  CHECK(std::get<std::vector<std::int64_t>>(file.metadata().at("a.whole")) ==
        std::vector<std::int64_t>{-1, 2});
  CHECK(std::get<std::vector<double>>(file.metadata().at("a.reals")) ==
        std::vector<double>{1.5, -2});
  REQUIRE(file.tensors().size() == 2);
  const tensor_view* second = file.find_tensor("second");
  REQUIRE(second != nullptr);
  CHECK(second->shape == std::vector<std::uint64_t>{8, 2});
  CHECK(second->row_length() == 8);
  CHECK(second->rows() == 2);
  REQUIRE(second->bytes.size() == 64);
  float last = 0;
  std::memcpy(&last, second->bytes.data() + 60, 4);
  CHECK(last == 15.0F);
  CHECK(file.find_tensor("third") == nullptr);
}

TEST_CASE("typed look-ups tell absence from another type") {
  const auto bytes = sample::small_file();
  auto parsed = gguf_file::parse(bytes);
  REQUIRE(parsed.ok());
  const gguf_file& file = **parsed;
  CHECK_FALSE(file.text("absent")->has_value());
  CHECK_FALSE(file.unsigned_number("absent")->has_value());
  CHECK_FALSE(file.number("absent")->has_value());
  CHECK_FALSE(file.flag("absent")->has_value());
  CHECK(says(file.text("a.flag").failure(), "a.flag"));
  CHECK(says(file.flag("a.real").failure(), "a.real"));
  CHECK(says(file.number("general.architecture").failure(), "general.architecture"));
  CHECK(says(file.unsigned_number("a.real").failure(), "a.real"));
  CHECK(file.metadata_type("a.words") == type_text);
  CHECK_FALSE(file.metadata_type("absent"));
}

TEST_CASE("every prefix of a file is refused") {
  const auto bytes = sample::small_file();
  REQUIRE(bytes.size() > 200);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    // A copy of exactly that length, so that a read past it is seen by the address sanitizer.
    const std::vector<std::byte> prefix(bytes.begin(),
                                        bytes.begin() + static_cast<std::ptrdiff_t>(length));
    const auto parsed = gguf_file::parse(prefix);
    CHECK_MESSAGE(!parsed.ok(), length);
  }
  CHECK(gguf_file::parse(bytes).ok());
}

TEST_CASE("a file of metadata alone opens") {
  const auto parsed = gguf_file::parse(
      raw_file().head(0, 1).text("general.architecture").number(type_text).text("llama").bytes());
  CHECK(parsed.ok());
  CHECK(gguf_file::parse(raw_file().head(0, 0, 2).bytes()).ok());
}

TEST_CASE("what is not GGUF, or not a version that is read, is said to be so") {
  const std::string zip = "PK\x03\x04 something else that is long enough";
  CHECK(gguf_file::parse(std::as_bytes(std::span(zip.data(), zip.size()))).failure().code ==
        error_code::data_corrupt);
  CHECK(refusal(raw_file().head(0, 0, 1)).code == error_code::unsupported);
  const error big_endian = refusal(raw_file().head(0, 0, 0x03000000));
  CHECK(big_endian.code == error_code::unsupported);
  CHECK(big_endian.mend.find("big-endian") != std::string::npos);
}

TEST_CASE("counts that cannot fit are refused before memory is asked for") {
  CHECK(says(refusal(raw_file().head(1ULL << 60, 0).zeroes(64)), "1152921504606846976 tensors"));
  CHECK(says(refusal(raw_file().head(0, ~0ULL).zeroes(64)), "metadata keys"));
  raw_file array;
  array.head(0, 1).text("k").number(type_array).number(type_u32).number(1ULL << 62).zeroes(64);
  CHECK(says(refusal(array), "'k'"));
  raw_file words;
  words.head(0, 1)
      .text("k")
      .number(type_array)
      .number(type_text)
      .number(std::uint64_t{9})
      .zeroes(71);
  CHECK(says(refusal(words), "9 elements"));
  raw_file text;
  text.head(0, 1).text("k").number(type_text).number(~0ULL).zeroes(64);
  CHECK(says(refusal(text), "'k'"));
}

TEST_CASE("metadata that breaks the format is refused, naming the key") {
  raw_file nested;
  nested.head(0, 1)
      .text("nest")
      .number(type_array)
      .number(type_array)
      .number(std::uint64_t{1})
      .zeroes(64);
  CHECK(refusal(nested).code == error_code::unsupported);
  CHECK(says(refusal(nested), "'nest'"));
  raw_file twice;
  twice.head(0, 2).text("k").number(type_u32).number(1U).text("k").number(type_u32).number(1U);
  CHECK(says(refusal(twice), "'k' at byte"));
  raw_file kind;
  kind.head(0, 1).text("k").number(13U).zeroes(16);
  CHECK(says(refusal(kind), "type 13"));
  raw_file element;
  element.head(0, 1).text("k").number(type_array).number(77U).number(std::uint64_t{0});
  CHECK(says(refusal(element), "type 77"));
  raw_file flag;
  flag.head(0, 1).text("k").number(type_bool).number(std::uint8_t{2});
  CHECK(says(refusal(flag), "value 2"));
  CHECK(says(refusal(raw_file().head(0, 1).text("").number(type_u32).number(1U)), "empty"));
  raw_file unprintable;
  unprintable.head(0, 1).text("a\n\xff").number(99U).zeroes(16);
  CHECK(says(refusal(unprintable), "'a\\x0a\\xff'"));
}

TEST_CASE("an alignment that is no power of two, or too small, is refused") {
  for (const std::uint32_t alignment : {0U, 1U, 24U, 33U, 1U << 21}) {
    raw_file file;
    file.head(0, 1).text("general.alignment").number(type_u32).number(alignment);
    CHECK(says(refusal(file), "general.alignment"));
    CHECK(says(refusal(file), std::to_string(alignment)));
  }
  raw_file kind;
  kind.head(0, 1).text("general.alignment").number(type_text).text("32");
  CHECK(says(refusal(kind), "general.alignment"));
}

TEST_CASE("tensors are refused that have no sane shape, type or place") {
  const auto one = [](const std::vector<std::uint64_t>& shape, std::uint32_t type,
                      std::uint64_t offset) {
    return refusal(raw_file().head(1, 0).tensor("weights", shape, type, offset).zeroes(256));
  };
  CHECK(says(one({8, 0}, 0, 0), "dimension of zero"));
  CHECK(says(one({}, 0, 0), "0 dimensions"));
  CHECK(says(one({1, 1, 1, 1, 1}, 0, 0), "5 dimensions"));
  CHECK(says(one({1ULL << 32, 1ULL << 32}, 0, 0), "64 bits"));
  CHECK(says(one({1ULL << 62}, 0, 0), "64 bits"));
  CHECK(says(one({33}, 8, 0), "multiple of 32"));
  CHECK(says(one({1024}, 0, 0), "past the file's end"));
  CHECK(says(one({8}, 0, ~0ULL - 31), "past the file's end"));
  CHECK(says(one({8}, 0, 8), "not aligned"));
  for (const error& e : {one({8}, 0, 8), one({8, 0}, 0, 0), one({1024}, 0, 0)})
    CHECK(says(e, "'weights'"));
  const error foreign = one({32}, 6, 0);
  CHECK(foreign.code == error_code::unsupported);
  CHECK(says(foreign, "'weights' has type 6 (q5_0)"));
  CHECK(one({32}, 4711, 0).code == error_code::unsupported);
}

TEST_CASE("two tensors may neither overlap nor share a name") {
  raw_file overlap;
  overlap.head(2, 0).tensor("a", {16}, 0, 0).tensor("b", {8}, 0, 32).zeroes(256);
  CHECK(says(refusal(overlap), "'b' at data offset 32 overlaps tensor 'a'"));
  raw_file same;
  same.head(2, 0).tensor("a", {8}, 0, 0).tensor("a", {8}, 0, 32).zeroes(256);
  CHECK(says(refusal(same), "stands twice"));
  raw_file apart;
  apart.head(2, 0).tensor("b", {8}, 0, 64).tensor("a", {8}, 0, 0).zeroes(256);
  const auto parsed = gguf_file::parse(apart.bytes());
  REQUIRE(parsed.ok());
  CHECK((*parsed)->tensors().front().name == "b");
}

TEST_CASE("open maps a file and says what is wrong with a path") {
  const sample::temporary_folder folder;
  const auto bytes = sample::small_file();
  std::ofstream(folder / "m.gguf", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  const auto opened = gguf_file::open(folder / "m.gguf");
  REQUIRE(opened.ok());
  CHECK((*opened)->tensors().size() == 2);
  CHECK(gguf_file::open(folder / "absent").failure().code == error_code::not_found);
  CHECK(gguf_file::open(folder.path()).failure().code == error_code::invalid_argument);
  std::ofstream(folder / "empty.gguf");
  CHECK(says(gguf_file::open(folder / "empty.gguf").failure(), "empty"));
  std::ofstream(folder / "short.gguf") << "GGUF";
  CHECK(says(gguf_file::open(folder / "short.gguf").failure(), "short.gguf"));
}

TEST_CASE("the digest of a file is its SHA-256") {
  const sample::temporary_folder folder;
  std::ofstream(folder / "abc") << "abc";
  CHECK(*file_digest(folder / "abc") ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::ofstream(folder / "none");
  CHECK(*file_digest(folder / "none") ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  std::ofstream(folder / "large") << std::string((1 << 20) + 17, 'a');
  std::ofstream(folder / "other") << std::string((1 << 20) + 16, 'a') + "b";
  CHECK(*file_digest(folder / "large") != *file_digest(folder / "other"));
  CHECK(file_digest(folder / "absent").failure().code == error_code::not_found);
}
