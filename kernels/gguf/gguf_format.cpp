#include "kernels/gguf/gguf_format.hpp"

namespace troupe::kernels::gguf_format {
namespace {

// Type numbers of ggml that we can name but not read.
struct foreign_type {
  std::uint32_t number;
  std::string_view name;
};
constexpr foreign_type foreign_types[] = {
    {3, "q4_1"},   {6, "q5_0"},     {7, "q5_1"},    {9, "q8_1"},     {10, "q2_k"},  {11, "q3_k"},
    {15, "q8_k"},  {16, "iq2_xxs"}, {17, "iq2_xs"}, {18, "iq3_xxs"}, {19, "iq1_s"}, {20, "iq4_nl"},
    {21, "iq3_s"}, {22, "iq2_s"},   {23, "iq4_xs"}, {24, "i8"},      {25, "i16"},   {26, "i32"},
    {27, "i64"},   {28, "f64"},     {29, "iq1_m"},  {34, "tq1_0"},   {35, "tq2_0"}, {39, "mxfp4"},
};

}  // namespace

std::string_view ggml_type_name(std::uint32_t number) {
  for (const foreign_type& row : foreign_types)
    if (row.number == number) return row.name;
  return "unknown to us";
}

std::string quoted(std::string_view text) {
  constexpr std::size_t shown_max = 80;
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "'";
  for (const char c : text.substr(0, shown_max)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out + (text.size() > shown_max ? "...'" : "'");
}

}  // namespace troupe::kernels::gguf_format
