#include "cluster/profile/symbol_table.hpp"

#include <doctest/doctest.h>
#include <elf.h>

#include <cstring>
#include <fstream>
#include <random>

#include "cluster/profile/symbols.hpp"

using namespace troupe;
using namespace troupe::profile;

namespace {

struct wish {
  std::string name;
  std::uint64_t value, size;
  unsigned char type = STT_FUNC;
};

std::vector<std::byte> elf_with(const std::vector<wish>& wishes, std::uint32_t kind = SHT_SYMTAB) {
  std::string names(1, '\0'), symbols(sizeof(Elf64_Sym), '\0');
  for (const wish& one : wishes) {
    Elf64_Sym symbol{};
    symbol.st_name = static_cast<Elf64_Word>(names.size());
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, one.type);
    symbol.st_shndx = 1;
    symbol.st_value = one.value;
    symbol.st_size = one.size;
    symbols.append(reinterpret_cast<const char*>(&symbol), sizeof symbol);
    names += one.name + '\0';
  }
  Elf64_Ehdr head{};
  std::memcpy(head.e_ident, ELFMAG, SELFMAG);
  head.e_ident[EI_CLASS] = ELFCLASS64;
  head.e_ident[EI_DATA] = ELFDATA2LSB;
  head.e_shentsize = sizeof(Elf64_Shdr);
  head.e_shnum = 3;
  head.e_shoff = sizeof head;
  Elf64_Shdr sections[3]{};
  sections[1].sh_type = kind;
  sections[1].sh_link = 2;
  sections[1].sh_offset = sizeof head + sizeof sections;
  sections[1].sh_size = symbols.size();
  sections[2].sh_type = SHT_STRTAB;
  sections[2].sh_offset = sections[1].sh_offset + symbols.size();
  sections[2].sh_size = names.size();
  std::string file(reinterpret_cast<const char*>(&head), sizeof head);
  file.append(reinterpret_cast<const char*>(sections), sizeof sections);
  file += symbols + names;
  std::vector<std::byte> out(file.size());
  std::memcpy(out.data(), file.data(), file.size());
  return out;
}

}  // namespace

TEST_CASE("an address is found in the function whose range it lies in, and in no other") {
  const auto table = symbol_table::read(elf_with({{"second", 0x2000, 0x10},
                                                  {"first", 0x1000, 0x20},
                                                  {"variable", 0x1008, 8, STT_OBJECT},
                                                  {"assembly", 0x3000, 0},
                                                  {"last", 0x3100, 0x10}}));
  REQUIRE(table);
  CHECK(table->size() == 4);
  CHECK(table->find(0x1000) == "first");
  CHECK(table->find(0x101f) == "first");
  CHECK_FALSE(table->find(0x1020));
  CHECK_FALSE(table->find(0xfff));
  CHECK(table->find(0x200f) == "second");
  CHECK(table->find(0x30ff) == "assembly");  // without a size it lasts until the next
  CHECK(table->find(0x310f) == "last");
  CHECK_FALSE(table->find(0x3110));
}

TEST_CASE("of two names for one address it is always the same, and .dynsym serves where it must") {
  const auto table = symbol_table::read(elf_with({{"b", 16, 16}, {"a", 16, 16}}, SHT_DYNSYM));
  REQUIRE(table);
  CHECK(table->find(20) == "a");
  CHECK(symbol_table::read(elf_with({}, SHT_NOTE))->size() == 0);
}

TEST_CASE("a file that is cut, or lies, is refused or read, and never read beyond its end") {
  const std::vector<std::byte> whole =
      elf_with({{"first", 0x1000, 0x20}, {"second", 0x2000, 0x10}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<long>(size));
    (void)symbol_table::read(cut).ok();
  }
  CHECK_FALSE(symbol_table::read({}).ok());
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::byte> changed = whole;
    for (int i = 0; i < 4; ++i) changed[random() % changed.size()] = std::byte(random());
    const auto read = symbol_table::read(changed);
    if (read) (void)read->find(0x1010);
  }
}

TEST_CASE("names are as a programmer writes them") {
  CHECK(demangled("_ZN6troupe7kernels6engineC2Ev") == "troupe::kernels::engine::engine()");
  CHECK(demangled("main") == "main");
  CHECK(demangled("_Znot mangled") == "_Znot mangled");
}

TEST_CASE("functions of this program and of shared libraries have their names") {
  symbols names;
  const auto own = reinterpret_cast<std::uintptr_t>(&demangled);
  CHECK(names.name_of(own).find("troupe::profile::demangled") != std::string::npos);
  const std::string libc = names.name_of(reinterpret_cast<std::uintptr_t>(&std::strerror));
  CHECK_MESSAGE(libc.find("strerror") != std::string::npos, libc);
  CHECK(names.name_of(1) == "[unknown]");
}
