#include <doctest/doctest.h>

#include "cluster/node/machine_readings.hpp"

using namespace troupe::cluster;

TEST_CASE("property 17: processor, network and disk are read as the kernel writes them") {
  machine_counters is;
  read_cpu("cpu  100 5 50 800 40 1 2 2 0 0\ncpu0 1 2 3 4\n", is);
  CHECK(is.cpu_all == 1000);
  CHECK(is.cpu_busy == 160);
  read_process("42 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 700 300 0 0", is);
  CHECK(is.process_ticks == 1000);
  read_network(
      "Inter-|   Receive | Transmit\n face |bytes packets\n"
      "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n"
      "  eth0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n"
      "  eth1:50 1 0 0 0 0 0 0 70 1 0 0 0 0 0 0\n",
      is);
  CHECK(is.network_in == 1050);
  CHECK(is.network_out == 2070);
  read_disks(
      "   8       0 sda 10 0 100 5 20 0 200 7 0 0 0\n"
      "   8       1 sda1 10 0 100 5 20 0 200 7 0 0 0\n"
      " 259       0 nvme0n1 10 0 10 5 20 0 20 7 0 0 0\n"
      " 259       1 nvme0n1p1 10 0 10 5 20 0 20 7 0 0 0\n"
      "   7       0 loop0 10 0 100 5 20 0 200 7 0 0 0\n",
      is);
  CHECK(is.disk_read == 110 * 512);
  CHECK(is.disk_written == 220 * 512);
}

TEST_CASE("files of another form are no readings, and no harm") {
  machine_counters is;
  for (const char* text : {"", "nonsense", "cpu", "cpu x y", ": 1 2 3", "8 0 sda"}) {
    read_cpu(text, is);
    read_process(text, is);
    read_network(text, is);
    read_disks(text, is);
  }
  CHECK(is.cpu_all == 0);
  CHECK(is.process_ticks == 0);
  CHECK(is.network_in == 0);
  CHECK(is.disk_read == 0);
}
