// SHA-256 over a sequence of values, each written with its length or width, so that no two
// sequences read alike.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::kernels {

class digest_builder {
 public:
  digest_builder();
  ~digest_builder();
  digest_builder(const digest_builder&) = delete;
  digest_builder& operator=(const digest_builder&) = delete;

  void add(std::uint64_t number);   // 8 bytes, little endian
  void add(std::string_view text);  // its length, then its bytes
  std::string finish();             // 64 hexadecimal digits; the builder is spent

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace troupe::kernels
