#include "cluster/profile/symbol_table.hpp"

#include <cxxabi.h>
#include <elf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace troupe::profile {
namespace {

error corrupt(const char* what) {
  return {error_code::data_corrupt, std::string("not an ELF file that can be read: ") + what, ""};
}

template <class T>
bool copy_at(std::span<const std::byte> file, std::uint64_t at, T& to) {
  if (at > file.size() || file.size() - at < sizeof to) return false;
  std::memcpy(&to, file.data() + at, sizeof to);
  return true;
}

std::optional<std::span<const std::byte>> part(std::span<const std::byte> file,
                                               const Elf64_Shdr& section) {
  if (section.sh_type == SHT_NOBITS || section.sh_offset > file.size() ||
      file.size() - section.sh_offset < section.sh_size)
    return std::nullopt;
  return file.subspan(section.sh_offset, section.sh_size);
}

}  // namespace

result<symbol_table> symbol_table::read(std::span<const std::byte> file) {
  Elf64_Ehdr head;
  if (!copy_at(file, 0, head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
    return corrupt("no ELF head");
  if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB ||
      head.e_shentsize != sizeof(Elf64_Shdr))
    return corrupt("not of 64 bits, little-endian");
  std::vector<Elf64_Shdr> sections(head.e_shnum);
  for (std::size_t i = 0; i < sections.size(); ++i)
    if (head.e_shoff > file.size() ||
        !copy_at(file, head.e_shoff + i * sizeof(Elf64_Shdr), sections[i]))
      return corrupt("its section table is cut off");
  const Elf64_Shdr* from = nullptr;
  for (const Elf64_Shdr& section : sections)
    if (section.sh_type == SHT_SYMTAB || (section.sh_type == SHT_DYNSYM && !from)) from = &section;
  symbol_table out;
  if (!from) return out;
  if (from->sh_link >= sections.size()) return corrupt("its symbols have no names");
  const auto symbols = part(file, *from), names = part(file, sections[from->sh_link]);
  if (!symbols || !names) return corrupt("its symbols are cut off");
  out.names_.assign(reinterpret_cast<const char*>(names->data()), names->size());
  for (std::size_t at = 0; at + sizeof(Elf64_Sym) <= symbols->size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    std::memcpy(&symbol, symbols->data() + at, sizeof symbol);
    const auto type = ELF64_ST_TYPE(symbol.st_info);
    if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF) continue;
    if (symbol.st_name >= out.names_.size() || out.names_[symbol.st_name] == '\0') continue;
    if (symbol.st_value + symbol.st_size < symbol.st_value) continue;
    out.functions_.push_back({symbol.st_value, symbol.st_value + symbol.st_size, symbol.st_name});
  }
  // Of names for one address the first in the alphabet, so that the choice is always the same.
  std::sort(out.functions_.begin(), out.functions_.end(), [&](const auto& a, const auto& b) {
    if (a.begin != b.begin) return a.begin < b.begin;
    if (a.end != b.end) return a.end > b.end;
    return std::strcmp(out.names_.c_str() + a.name, out.names_.c_str() + b.name) < 0;
  });
  out.functions_.erase(std::unique(out.functions_.begin(), out.functions_.end(),
                                   [](const auto& a, const auto& b) { return a.begin == b.begin; }),
                       out.functions_.end());
  for (std::size_t i = 0; i < out.functions_.size(); ++i) {
    function& one = out.functions_[i];  // written in assembly, it may not tell its size
    if (one.end == one.begin)
      one.end = i + 1 < out.functions_.size() ? out.functions_[i + 1].begin : one.begin + 1;
  }
  return out;
}

std::optional<std::string_view> symbol_table::find(std::uint64_t address) const {
  auto after = std::upper_bound(
      functions_.begin(), functions_.end(), address,
      [](std::uint64_t wanted, const function& one) { return wanted < one.begin; });
  if (after == functions_.begin()) return std::nullopt;
  const function& one = *--after;
  if (address >= one.end) return std::nullopt;
  return names_.c_str() + one.name;
}

std::string demangled(std::string_view name) {
  const std::string text(name);
  int failed = 0;
  const std::unique_ptr<char, void (*)(void*)> plain(
      abi::__cxa_demangle(text.c_str(), nullptr, nullptr, &failed), std::free);
  return failed == 0 && plain ? std::string(plain.get()) : text;
}

}  // namespace troupe::profile
