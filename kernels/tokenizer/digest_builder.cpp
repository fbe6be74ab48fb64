#include "kernels/tokenizer/digest_builder.hpp"

#include <openssl/evp.h>

#include <array>
#include <cassert>

namespace troupe::kernels {

struct digest_builder::state {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~state() { EVP_MD_CTX_free(context); }
};

digest_builder::digest_builder() : state_(std::make_unique<state>()) {
  [[maybe_unused]] const int ready = EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr);
  assert(ready == 1);
}

digest_builder::~digest_builder() = default;

void digest_builder::add(std::uint64_t number) {
  std::array<unsigned char, 8> bytes;
  for (unsigned char& byte : bytes) {
    byte = static_cast<unsigned char>(number);
    number >>= 8;
  }
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

void digest_builder::add(std::string_view text) {
  add(std::uint64_t{text.size()});
  EVP_DigestUpdate(state_->context, text.data(), text.size());
}

std::string digest_builder::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, bytes.data(), &size);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[bytes[i] >> 4];
    hex += "0123456789abcdef"[bytes[i] & 15];
  }
  return hex;
}

}  // namespace troupe::kernels
