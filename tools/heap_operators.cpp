// The daemon's operator new and delete: malloc's and free's, with one branch for the heap profile.
//
// Linked into trouped alone. Not with a sanitizer, which has operators of its own. The forms that
// are not here (nothrow) call these.
#include "cluster/profile/heap_sampler.hpp"

#if !defined(TROUPE_SANITIZED)

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

namespace heap = troupe::profile::heap;

[[maybe_unused]] const bool told = (heap::operators_here = true);

// What the standard asks for where there is no memory: the handler, again and again, or an error.
template <class Allocate>
void* or_throw(std::size_t bytes, Allocate allocate) {
  for (;;) {
    if (void* memory = allocate()) [[likely]]
      return heap::watched(memory, bytes);
    const std::new_handler handler = std::get_new_handler();
    if (!handler) throw std::bad_alloc();
    handler();
  }
}

void give_back(void* memory) noexcept {
  heap::forgotten(memory);
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t bytes) {
  return or_throw(bytes, [bytes] { return std::malloc(std::max<std::size_t>(bytes, 1)); });
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto align = std::max(static_cast<std::size_t>(alignment), sizeof(void*));
  const std::size_t whole = (std::max<std::size_t>(bytes, 1) + align - 1) / align * align;
  if (whole < bytes) throw std::bad_alloc();
  return or_throw(bytes, [align, whole] { return std::aligned_alloc(align, whole); });
}
void* operator new[](std::size_t bytes) {
  return ::operator new(bytes);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return ::operator new(bytes, alignment);
}

void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  give_back(memory);
}

#endif
