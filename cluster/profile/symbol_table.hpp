// The functions of one ELF file (64 bits, little-endian), found by address. Pure.
//
// Reads .symtab, or .dynsym where it was stripped. Nothing of the file is believed: what points
// outside of it is data_corrupt. Addresses are the file's own: the caller subtracts where it was
// loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::profile {

class symbol_table {
 public:
  static result<symbol_table> read(std::span<const std::byte> file);

  // The function's mangled name; nullopt where the address lies in none that has one.
  std::optional<std::string_view> find(std::uint64_t address) const;
  std::size_t size() const { return functions_.size(); }

 private:
  struct function {
    std::uint64_t begin, end;
    std::uint32_t name;  // where it stands in names_
  };
  std::vector<function> functions_;  // by begin
  std::string names_;
};

// As a programmer writes it, or as it came where it is not mangled.
std::string demangled(std::string_view name);

}  // namespace troupe::profile
