#include "cluster/audit/configuration_digest.hpp"

#include "cluster/audit/chain.hpp"

namespace troupe::audit {

std::string configuration_digest(const settings& of) {
  std::string text;
  for (const setting_row& row : settings_table()) {
    const std::string value = of.written(row.name);
    text += std::string(row.name) + "=" + std::to_string(value.size()) + ":" + value + "\n";
  }
  return sha256_text(text);
}

}  // namespace troupe::audit
