// CRC-32C (Castagnoli; polynomial 0x1EDC6F41 reflected), as in iSCSI and ext4: RFC 3720, B.4.
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::journal {

// Of `bytes`, going on from the CRC of what stands before them.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);
// The same, bit by bit: the slow twin.
std::uint32_t crc32c_reference(std::string_view bytes, std::uint32_t before = 0);

}  // namespace troupe::journal
