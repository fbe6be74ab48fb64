#include "cluster/profile/symbols.hpp"

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <span>

namespace troupe::profile {
namespace {

symbol_table table_of(const std::string& path) {
  symbol_table none;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return none;
  struct stat seen {};
  void* mapped = MAP_FAILED;
  if (::fstat(file, &seen) == 0 && seen.st_size > 0)
    mapped =
        ::mmap(nullptr, static_cast<std::size_t>(seen.st_size), PROT_READ, MAP_PRIVATE, file, 0);
  ::close(file);
  if (mapped == MAP_FAILED) return none;
  const auto size = static_cast<std::size_t>(seen.st_size);
  auto read = symbol_table::read({static_cast<const std::byte*>(mapped), size});
  ::munmap(mapped, size);
  return read ? std::move(*read) : std::move(none);
}

}  // namespace

symbols::symbols() {
  ::dl_iterate_phdr(
      [](dl_phdr_info* found, std::size_t, void* to) {
        auto& self = *static_cast<symbols*>(to);
        const std::string name = found->dlpi_name ? found->dlpi_name : "";
        object one;
        one.path = name.empty() ? "/proc/self/exe" : name;  // the inode that runs, replaced or not
        one.shown = name.empty() ? "program" : name.substr(name.rfind('/') + 1);
        one.loaded_at = found->dlpi_addr;
        for (int i = 0; i < found->dlpi_phnum; ++i) {
          const auto& part = found->dlpi_phdr[i];
          if (part.p_type != PT_LOAD || !(part.p_flags & PF_X)) continue;
          const std::uintptr_t begin = found->dlpi_addr + part.p_vaddr;
          self.ranges_[begin] = {begin + part.p_memsz, self.objects_.size()};
        }
        self.objects_.push_back(std::move(one));
        return 0;
      },
      this);
}

const std::string& symbols::name_of(std::uintptr_t address) {
  const auto [entry, fresh] = known_.try_emplace(address);
  if (fresh) entry->second = look_up(address);
  return entry->second;
}

std::string symbols::look_up(std::uintptr_t address) {
  auto after = ranges_.upper_bound(address);
  if (after == ranges_.begin()) return "[unknown]";
  const range& in = (--after)->second;
  if (address >= in.end) return "[unknown]";
  object& of = objects_[in.object];
  if (!of.table) of.table = std::make_unique<symbol_table>(table_of(of.path));
  const auto found = of.table->find(address - of.loaded_at);
  return found ? demangled(*found) : "[" + of.shown + "]";
}

}  // namespace troupe::profile
