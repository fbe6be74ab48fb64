#include "kernels/backend/cuda/devices/resident_models.hpp"

#include <algorithm>

namespace troupe::kernels::cuda {

std::vector<resident_models::entry>::iterator resident_models::find(const std::string& name) {
  return std::find_if(entries_.begin(), entries_.end(),
                      [&name](const entry& e) { return e.name == name; });
}

std::uint64_t resident_models::bytes() const {
  std::uint64_t sum = 0;
  for (const entry& e : entries_) sum += e.bytes;
  return sum;
}

std::vector<std::string> resident_models::names() const {
  std::vector<std::string> names;
  for (const entry& e : entries_) names.push_back(e.name);
  return names;
}

result<std::vector<std::string>> resident_models::to_make_room(std::uint64_t bytes) const {
  std::vector<std::string> going;
  std::uint64_t held = this->bytes();
  for (const entry& e : entries_) {
    if (held <= bytes_max_ && bytes <= bytes_max_ - held) return going;
    if (e.busy) continue;
    going.push_back(e.name);
    held -= e.bytes;
  }
  if (held <= bytes_max_ && bytes <= bytes_max_ - held) return going;
  return error{error_code::resource_exhausted,
               std::to_string(bytes) + " bytes of weights do not fit: " + std::to_string(held) +
                   " of " + std::to_string(bytes_max_) + " are in use by models that compute",
               "wait until they are done, or use a smaller quantization"};
}

void resident_models::add(const std::string& name, std::uint64_t bytes) {
  remove(name);
  entries_.push_back({name, bytes, false});
}

void resident_models::remove(const std::string& name) {
  if (const auto it = find(name); it != entries_.end()) entries_.erase(it);
}

void resident_models::use(const std::string& name) {
  if (const auto it = find(name); it != entries_.end()) std::rotate(it, it + 1, entries_.end());
}

void resident_models::set_busy(const std::string& name, bool busy) {
  if (const auto it = find(name); it != entries_.end()) it->busy = busy;
}

}  // namespace troupe::kernels::cuda
