#include <doctest/doctest.h>

#include "gguf_sample.hpp"

using namespace troupe::kernels;

// Seeds are called *.gguf and are whole files; what a fuzzer found keeps its own name and may be
// refused.
TEST_CASE("every file of the fuzzer's corpus reads from memory as from disk, and seeds are whole") {
  std::size_t seeds = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(TROUPE_SOURCE_DIR "/tests/fuzz/corpus/gguf")) {
    CAPTURE(entry.path().string());
    const auto bytes = sample::read_bytes(entry.path());
    CHECK(bytes.size() < 2048);
    const auto parsed = gguf_file::parse(bytes);
    const auto opened = gguf_file::open(entry.path());
    REQUIRE(parsed.ok() == opened.ok());
    if (entry.path().extension() == ".gguf") {
      REQUIRE_MESSAGE(parsed.ok(), (parsed.ok() ? "" : parsed.failure().text()));
      ++seeds;
    }
    if (!parsed.ok()) continue;
    CHECK((*parsed)->metadata() == (*opened)->metadata());
    CHECK((*parsed)->tensors().size() == (*opened)->tensors().size());
  }
  CHECK(seeds >= 5);
}
