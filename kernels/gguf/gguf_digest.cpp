#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

#include "kernels/gguf/gguf.hpp"

namespace troupe::kernels {
namespace {

constexpr std::size_t read_bytes = std::size_t{1} << 20;

struct context_freed {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

error read_failure(const std::filesystem::path& path, int number) {
  return {number == ENOENT || number == ENOTDIR ? error_code::not_found
          : number == EACCES                    ? error_code::permission_denied
                                                : error_code::unavailable,
          path.string() + ": cannot read: " + std::generic_category().message(number),
          {}};
}

// 0, or the errno of the read that failed.
int feed(int fd, EVP_MD_CTX* context) {
  std::vector<unsigned char> buffer(read_bytes);
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count == 0) return 0;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    EVP_DigestUpdate(context, buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

result<std::string> file_digest(const std::filesystem::path& path) {
  const std::unique_ptr<EVP_MD_CTX, context_freed> context(EVP_MD_CTX_new());
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return error{error_code::internal, "SHA-256 is not available in this OpenSSL", {}};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return read_failure(path, errno);
  const int failed = feed(fd, context.get());
  ::close(fd);
  if (failed != 0) return read_failure(path, failed);

  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (EVP_DigestFinal_ex(context.get(), digest, &length) != 1)
    return error{error_code::internal, path.string() + ": SHA-256 failed", {}};
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < length; ++i)
    text += {digits[digest[i] >> 4], digits[digest[i] & 15]};
  return text;
}

}  // namespace troupe::kernels
