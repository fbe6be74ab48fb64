// Which configuration a node runs with, as one number: the SHA-256 of every setting as it was read,
// from file, environment or default. Pure.
#pragma once

#include <string>

#include "config/settings.hpp"

namespace troupe::audit {

std::string configuration_digest(const settings& of);  // 64 hexadecimal digits

}  // namespace troupe::audit
